"""Nested cross-validation: how good is a choice made by cross-validation?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)

from .engine import Options, fit_and_score, score_candidates
from .metrics import Scorers
from .tasks import Task, as_data, best_index, gather, network_seeds, with_params

Splits = Sequence[tuple[np.ndarray, np.ndarray]]
LOSSES = ("log_loss", "squared_error")  # the scores of which the smallest is best


def repeated_splits(
    X: np.ndarray,
    y: np.ndarray,
    *,
    n_splits: int,
    n_repeats: int,
    seed: int,
    task: str = "classification",
) -> Splits:
    """Draw shuffled splits, `n_repeats` times; they are stratified unless `task` is "regression".

    Returns
    -------
    list of (train, test) index arrays of shape (n_repeats * n_splits,)
        One repeat after another; the first ones do not depend on the number of repeats.
    """
    kind = RepeatedKFold if task == "regression" else RepeatedStratifiedKFold
    cv = kind(n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
    return list(cv.split(X, y))


def nested_splits(
    X: np.ndarray,
    y: np.ndarray,
    *,
    n_splits: int,
    n_inner_splits: int,
    seed: int,
    task: str = "classification",
) -> tuple[Splits, list[Splits]]:
    """Draw outer splits, and inner splits of the training samples of each and of all samples.

    They are stratified unless `task` is "regression".

    Returns
    -------
    outer : list of (train, test) index arrays
        The first repeat of `repeated_splits` with the same seed.
    inner : list of lists of (train, test) index arrays
        One list for each outer split, then one for all samples.
    """
    outer = repeated_splits(X, y, n_splits=n_splits, n_repeats=1, seed=seed, task=task)
    kind = KFold if task == "regression" else StratifiedKFold
    cv = kind(n_inner_splits, shuffle=True, random_state=seed)
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
    scoring: Mapping[str, str | Callable] | None = None,
    choose_by: str = "score",
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
    scoring : mapping of str to str or callable, optional
        Scorers, or scikit-learn's names of them, by the names of further scores; nan if the
        network has diverged.
    choose_by : str, default="score"
        The score that chooses: accuracy or R², one of `scoring`, or "log_loss" or
        "squared_error", of which the smallest is best.
    seed : int, optional
        Every network's seed is derived from it.
    n_jobs, progress
        See `cross_validate`; progress counts the networks of the inner splits.

    Returns
    -------
    dict
        ``inner``: a dict of arrays of shape (n_outer + 1, n_candidates), the last row for all
        samples: ``mean_`` and ``std_`` of ``test_score``, of ``test_log_loss`` or
        ``test_squared_error``, and of the score that chooses, if that is another; and
        ``collapsed``, a number of networks.
        ``chosen``: the candidate of each row, of shape (n_outer + 1,).
        ``inner_score``: the mean score by which it was chosen, of shape (n_outer,).
        ``outer``: for ``"chosen"``, ``"baseline"`` and each group a dict of arrays of shape
        (n_outer,): ``candidate`` (-1 for the baseline), ``test_score``, ``test_log_loss`` or
        ``test_squared_error``, ``test_<name>`` of each of `scoring`, ``collapsed``.
    """
    splits, scoring = [split for splits in inner for split in splits], scoring or {}
    inner_scoring = {name: scorer for name, scorer in scoring.items() if name == choose_by}
    more = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
    more["options"] = _options(inner_scoring)
    scores = _scores(score_candidates(estimator, candidates, X, y, splits, **more))
    ends = np.cumsum([len(splits) for splits in inner])[:-1]
    parts = {key: np.split(values, ends, axis=1) for key, values in scores.items()}
    deciding, collapsed = parts[f"test_{choose_by}"], parts.pop("collapsed")
    sign = -1 if choose_by in LOSSES else 1
    chosen = [best_index(sign * part) for part in deciding]
    inner_score = [part[choice].mean() for part, choice in zip(deciding, chosen, strict=True)]
    ways = {"chosen": chosen[:-1], "baseline": [-1] * len(outer)}
    for name, members in (groups or {}).items():
        members = list(members)
        ways[name] = [members[best_index(sign * part[members])] for part in deciding[:-1]]
    with np.errstate(invalid="ignore"):  # of networks that have diverged
        means = {f"mean_{k}": np.array([part.mean(axis=1) for part in v]) for k, v in parts.items()}
        stds = {f"std_{k}": np.array([part.std(axis=1) for part in v]) for k, v in parts.items()}
    return {
        "inner": means | stds | {"collapsed": np.array([part.sum(axis=1) for part in collapsed])},
        "chosen": np.array(chosen),
        "inner_score": np.array(inner_score[:-1]),
        "outer": _score_outer(
            estimator, candidates, ways, X, y, outer, seed, n_jobs, _options(scoring)
        ),
    }


def _options(scoring):
    """Return the options of the engine that ask for our scores and those of the scorers."""
    return Options(scorer=Scorers(scoring) if scoring else None, both=True)


def _scores(results):
    """Select the scores of the test samples, and whether networks have collapsed."""
    return {k: v for k, v in results.items() if k.startswith("test_") or k == "collapsed"}


def _score_outer(estimator, candidates, ways, X, y, outer, seed, n_jobs, options):
    """Score on each outer split the candidate of every way; all have the same network seeds."""
    seeds = network_seeds(seed, len(outer))
    pipelines = [with_params(estimator, each) for each in (*candidates, {})]
    needed = {(fold, choice) for choices in ways.values() for fold, choice in enumerate(choices)}
    # In the order of the pipelines; the choice -1 is the last one, the baseline.
    needed = sorted(needed, key=lambda pair: (pair[0], pair[1] % len(pipelines)))
    tasks = [Task(pipelines[choice], seeds[fold], *outer[fold]) for fold, choice in needed]
    results = fit_and_score(tasks, as_data(estimator, X, y), options, n_jobs)
    scores = dict(zip(needed, map(_scores, results), strict=True))
    return {
        way: {"candidate": np.array(choices)}
        | gather([scores[pair] for pair in enumerate(choices)])
        for way, choices in ways.items()
    }
