"""Nested cross-validation: how good is a choice made by cross-validation?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from .engine import Options, fit_and_score
from .halving import RATE, best_part, divide, rung_epochs, survivors
from .tasks import Task, as_data, gather, last_step, network_seeds, with_params

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
    halvings: int = 0,
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
    halvings : int, default=0
        How often the candidates are reduced to their best third while they train (successive
        halving, see the module `halving`), by the inner splits of each outer split on their
        own. Those that are left in the end are trained for all epochs, and are chosen with the
        tenth of training in which they score best. With 0 every candidate is trained for all
        epochs, and chosen by the score after the last one.
    groups : mapping of str to sequence of int, optional
        Indices of candidates; the best of each group is scored on the outer splits, too. Every
        group is halved by itself, so that some of each are left.
    seed : int, optional
        Every network's seed is derived from it.
    n_jobs, progress
        See `cross_validate`; progress counts the networks of the inner splits, those of fewer
        epochs as a part.

    Returns
    -------
    dict
        ``inner``: a dict of arrays of shape (n_outer + 1, n_candidates), the last row for all
        samples: ``mean_test_score``, ``std_test_score``, ``mean_test_log_loss``;
        ``collapsed``, a number of networks; ``rung``, the last that the candidate was trained
        on, from 0; ``epochs``, the number after which it scored so.
        ``chosen``: the candidate of each row, of shape (n_outer + 1,): the best of those that
        were trained for all epochs.
        ``best_params``: the parameters chosen for all samples, with the epochs if `halvings`.
        ``inner_score``: the mean score by which it was chosen, of shape (n_outer,).
        ``outer``: for ``"chosen"``, ``"baseline"`` and each group a dict of arrays of shape
        (n_outer,): ``candidate`` (-1 for the baseline), ``epochs``, ``test_score``,
        ``test_log_loss``, ``collapsed``.

    Notes
    -----
    The networks that are scored on the outer splits are trained for as many epochs as the inner
    splits chose; a schedule of the learning rate is then that of so many epochs.
    """
    found = _search(estimator, candidates, X, y, inner, halvings, groups, seed, n_jobs, progress)
    # Only candidates of the last rung can be chosen; none whose score is not a number.
    scores = np.nan_to_num(found["mean_test_score"].round(12), nan=-np.inf)
    scores[found["rung"] < halvings] = -np.inf
    chosen = scores.argmax(axis=1)
    epochs = found["epochs"] if halvings else None
    ways = {"chosen": chosen[:-1], "baseline": [-1] * len(outer)}
    for name, members in (groups or {}).items():
        ways[name] = np.array(members)[scores[:-1, members].argmax(axis=1)]
    best = dict(candidates[chosen[-1]])
    if halvings:
        best |= _epochs_parameter(estimator, found["epochs"][-1, chosen[-1]])
    return {
        "inner": found,
        "chosen": chosen,
        "best_params": best,
        "inner_score": found["mean_test_score"][range(len(outer)), chosen[:-1]],
        "outer": _score_outer(estimator, candidates, epochs, ways, X, y, outer, seed, n_jobs),
    }


def _search(estimator, candidates, X, y, inner, halvings, groups, seed, n_jobs, progress):
    """Train the candidates of every search on its inner splits, rung by rung.

    Returns arrays of shape (n_searches, n_candidates). The networks of all searches train
    together, and those of every rung have other seeds: the scores that led a candidate to the
    last rung play no part there.
    """
    data, n_splits = as_data(estimator, X, y), sum(map(len, inner))
    shape = halvings + 1, len(candidates), n_splits
    seeds = np.reshape(network_seeds(seed, np.prod(shape)), shape)
    pipelines = [with_params(estimator, candidate) for candidate in candidates]
    pools = divide(len(candidates), groups)
    found, left = _Found(len(inner), len(candidates)), [range(len(candidates))] * len(inner)
    for rung in range(halvings + 1):
        rungs = [rung_epochs(last_step(each).epochs, halvings)[rung] for each in pipelines]
        shortened = pipelines
        if rung < halvings:
            shortened = [
                with_params(each, _epochs_parameter(each, epochs))
                for each, epochs in zip(pipelines, rungs, strict=True)
            ]
        tasks, places, first = [], [], 0
        for search, splits in enumerate(inner):
            for candidate in left[search]:
                places.append((search, candidate, slice(len(tasks), len(tasks) + len(splits))))
                seeded = zip(seeds[rung, candidate, first:].tolist(), splits, strict=False)
                tasks += [Task(shortened[candidate], each, *split) for each, split in seeded]
            first += len(splits)
        share = 1 / RATE ** (halvings - rung)
        options = Options(curves=0 < halvings == rung)
        results = fit_and_score(
            tasks, data, options, n_jobs, progress and (lambda n, share=share: progress(n * share))
        )
        for search, candidate, rows in places:
            scores, epochs = gather(results[rows]), rungs[candidate]
            if options.curves:
                part = best_part(scores["curves"]["test_score"])
                scores |= {key: of[:, part].mean(axis=1) for key, of in scores["curves"].items()}
                epochs = part.stop
            found.put((search, candidate), scores, rung, epochs)
        left = [survivors(scores, pools) for scores in found.on_rung(rung)]
    return found.arrays


class _Found:
    """The scores of every candidate in every search, on the last rung that it was trained on."""

    def __init__(self, *shape):
        names = "mean_test_score", "std_test_score", "mean_test_log_loss"
        self.arrays = {name: np.full(shape, np.nan) for name in names}
        self.arrays |= {name: np.zeros(shape, int) for name in ("collapsed", "rung", "epochs")}

    def put(self, place, scores, rung, epochs):
        score, loss, collapsed = (scores[key] for key in SCORES)
        values = score.mean(), score.std(), loss.mean(), collapsed.sum(), rung, epochs
        for array, value in zip(self.arrays.values(), values, strict=True):
            array[place] = value

    def on_rung(self, rung):
        return np.where(self.arrays["rung"] == rung, self.arrays["mean_test_score"], np.nan)


def _epochs_parameter(estimator, epochs):
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    return {f"{prefix}epochs": int(epochs)}


def _score_outer(estimator, candidates, epochs, ways, X, y, outer, seed, n_jobs):
    """Score on each outer split the candidate of every way; all have the same network seeds.

    `epochs` are those of each candidate by the inner splits of each outer split; None: their own.
    """
    seeds = network_seeds(seed, len(outer))
    pipelines = {}

    def pipeline(fold, choice):
        parameters = dict(candidates[choice]) if choice >= 0 else {}
        if epochs is not None and choice >= 0:
            parameters |= _epochs_parameter(estimator, epochs[fold, choice])
        key = choice, *parameters.values()
        return pipelines.setdefault(repr(key), with_params(estimator, parameters))

    needed = {(fold, choice) for choices in ways.values() for fold, choice in enumerate(choices)}
    # In the order of the candidates; the choice -1 is the last one, the baseline.
    needed = sorted(needed, key=lambda pair: (pair[0], pair[1] % (len(candidates) + 1)))
    tasks = [Task(pipeline(*pair), seeds[pair[0]], *outer[pair[0]]) for pair in needed]
    scores = dict(
        zip(needed, fit_and_score(tasks, as_data(estimator, X, y), n_jobs=n_jobs), strict=True)
    )
    return {
        way: {"candidate": np.array(choices)}
        | {"epochs": np.array([last_step(pipeline(*pair)).epochs for pair in enumerate(choices)])}
        | {key: np.array([scores[pair][key] for pair in enumerate(choices)]) for key in SCORES}
        for way, choices in ways.items()
    }
