"""Nested cross-validation: how good is a choice made by cross-validation?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold

from .engine import fit_and_score, score_candidates
from .tasks import Task, as_data, best_index, network_seeds, with_params

Splits = Sequence[tuple[np.ndarray, np.ndarray]]
SCORES = ("test_score", "test_log_loss", "collapsed")


def repeated_splits(
    X: np.ndarray, y: np.ndarray, *, n_splits: int, n_repeats: int, seed: int
) -> Splits:
    """Draw stratified, shuffled splits, `n_repeats` times.

    Returns
    -------
    list of (train, test) index arrays of shape (n_repeats * n_splits,)
        One repeat after another; the first ones do not depend on the number of repeats.
    """
    cv = RepeatedStratifiedKFold(n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
    return list(cv.split(X, y))


def nested_splits(
    X: np.ndarray, y: np.ndarray, *, n_splits: int, n_inner_splits: int, seed: int
) -> tuple[Splits, list[Splits]]:
    """Draw outer splits, and inner splits of the training samples of each and of all samples.

    Returns
    -------
    outer : list of (train, test) index arrays
        The first repeat of `repeated_splits` with the same seed.
    inner : list of lists of (train, test) index arrays
        One list for each outer split, then one for all samples.
    """
    outer = repeated_splits(X, y, n_splits=n_splits, n_repeats=1, seed=seed)
    cv = StratifiedKFold(n_inner_splits, shuffle=True, random_state=seed)
    inner = [
        [(rows[train], rows[test]) for train, test in cv.split(X[rows], y[rows])]
        for rows in (*(train for train, _ in outer), np.arange(len(y)))
    ]
    return outer, inner


def nested_cross_validate(
    estimator: BaseEstimator,
    candidates: Sequence[Mapping[str, object]],
    X: np.ndarray,
    y: np.ndarray,
    outer: Splits,
    inner: Sequence[Splits],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    seed: int | None = None,
    n_jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict:
    """Choose a candidate by the inner splits of each outer split, and score it on the outer one.

    Parameters
    ----------
    estimator : Pipeline
        Unfitted; unchanged, it is the baseline.
    candidates : sequence of mappings
        Parameters of the estimator.
    X, y
        See `cross_validate`.
    outer, inner
        Return values of `nested_splits`.
    groups : mapping of str to sequence of int, optional
        Indices of candidates; the best of each group is scored on the outer splits, too.
    seed : int, optional
        Every network's seed is derived from it.
    n_jobs, progress
        See `cross_validate`; progress counts the networks of the inner splits.

    Returns
    -------
    dict
        ``inner``: a dict of arrays of shape (n_outer + 1, n_candidates), the last row for all
        samples: ``mean_test_score``, ``std_test_score``, ``mean_test_log_loss``, and
        ``collapsed``, a number of networks.
        ``chosen``: the candidate of each row, of shape (n_outer + 1,).
        ``inner_score``: the mean score by which it was chosen, of shape (n_outer,).
        ``outer``: for ``"chosen"``, ``"baseline"`` and each group a dict of arrays of shape
        (n_outer,): ``candidate`` (-1 for the baseline), ``test_score``, ``test_log_loss``,
        ``collapsed``.
    """
    splits = [split for splits in inner for split in splits]
    scores = score_candidates(
        estimator, candidates, X, y, splits, seed=seed, n_jobs=n_jobs, progress=progress
    )
    ends = np.cumsum([len(splits) for splits in inner])[:-1]
    accuracy, loss, collapsed = (np.split(scores[key], ends, axis=1) for key in SCORES)
    chosen = [best_index(part) for part in accuracy]
    inner_score = [part[choice].mean() for part, choice in zip(accuracy, chosen, strict=True)]
    ways = {"chosen": chosen[:-1], "baseline": [-1] * len(outer)}
    for name, members in (groups or {}).items():
        members = list(members)
        ways[name] = [members[best_index(part[members])] for part in accuracy[:-1]]
    return {
        "inner": {
            "mean_test_score": np.array([part.mean(axis=1) for part in accuracy]),
            "std_test_score": np.array([part.std(axis=1) for part in accuracy]),
            "mean_test_log_loss": np.array([part.mean(axis=1) for part in loss]),
            "collapsed": np.array([part.sum(axis=1) for part in collapsed]),
        },
        "chosen": np.array(chosen),
        "inner_score": np.array(inner_score[:-1]),
        "outer": _score_outer(estimator, candidates, ways, X, y, outer, seed, n_jobs),
    }


def _score_outer(estimator, candidates, ways, X, y, outer, seed, n_jobs):
    """Score on each outer split the candidate of every way; all have the same network seeds."""
    seeds = network_seeds(seed, len(outer))
    pipelines = [with_params(estimator, each) for each in (*candidates, {})]
    needed = {(fold, choice) for choices in ways.values() for fold, choice in enumerate(choices)}
    # In the order of the pipelines; the choice -1 is the last one, the baseline.
    needed = sorted(needed, key=lambda pair: (pair[0], pair[1] % len(pipelines)))
    tasks = [Task(pipelines[choice], seeds[fold], *outer[fold]) for fold, choice in needed]
    scores = dict(
        zip(needed, fit_and_score(tasks, as_data(estimator, X, y), n_jobs=n_jobs), strict=True)
    )
    return {
        way: {"candidate": np.array(choices)}
        | {key: np.array([scores[pair][key] for pair in enumerate(choices)]) for key in SCORES}
        for way, choices in ways.items()
    }
