"""Nested cross-validation: how good is a choice made by cross-validation?"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline

from .engine import Options, fit_and_score
from .halving import RATE, best_part, divide, rung_epochs, survivors
from .metrics import Scorers
from .tasks import Task, as_data, gather, last_step, network_seeds, with_params

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
    halvings: int = 0,
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
    halvings : int, default=0
        How often the candidates are reduced to their best third while they train (successive
        halving, see the module `halving`), by the inner splits of each outer split on their
        own. Those that are left in the end are trained for all epochs, and are chosen with the
        tenth of training in which they score best. With 0 every candidate is trained for all
        epochs, and chosen by the score after the last one.
    groups : mapping of str to sequence of int, optional
        Indices of candidates; the best of each group is scored on the outer splits, too. Every
        group is halved by itself, so that some of each are left.
    scoring : mapping of str to str or callable, optional
        Scorers, or scikit-learn's names of them, by the names of further scores; nan if the
        network has diverged.
    choose_by : str, default="score"
        The score that chooses: accuracy or R², or "log_loss" or "squared_error", of which the
        smallest is best; or one of `scoring`, by which no epochs are chosen: candidates that are
        left are trained for all of them.
    seed : int, optional
        Every network's seed is derived from it.
    n_jobs, progress
        See `cross_validate`; progress counts the networks of the inner splits, those of fewer
        epochs as a part.

    Returns
    -------
    dict
        ``inner``: a dict of arrays of shape (n_outer + 1, n_candidates), the last row for all
        samples: ``mean_`` and ``std_`` of ``test_score``, of ``test_log_loss`` or
        ``test_squared_error``, and of the score that chooses, if that is another;
        ``collapsed``, a number of networks; ``rung``, the last that the candidate was trained
        on, from 0; ``epochs``, the number after which it scored so.
        ``chosen``: the candidate of each row, of shape (n_outer + 1,): the best of those that
        were trained for all epochs.
        ``best_params``: the parameters chosen for all samples, with the epochs if `halvings`.
        ``inner_score``: the mean score by which it was chosen, of shape (n_outer,).
        ``outer``: for ``"chosen"``, ``"baseline"`` and each group a dict of arrays of shape
        (n_outer,): ``candidate`` (-1 for the baseline), ``epochs``, ``test_score``,
        ``test_log_loss`` or ``test_squared_error``, ``test_<name>`` of each of `scoring`,
        ``collapsed``.

    Notes
    -----
    The networks that are scored on the outer splits are trained for as many epochs as the inner
    splits chose; a schedule of the learning rate is then that of so many epochs.
    """
    data, scoring = as_data(estimator, X, y), scoring or {}
    criterion = _Criterion(
        f"test_{choose_by}",
        -1 if choose_by in LOSSES else 1,
        {name: scorer for name, scorer in scoring.items() if name == choose_by},
    )
    pools = divide(len(candidates), groups)
    more = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
    found = _search(estimator, candidates, data, inner, halvings, pools, criterion, **more)
    # Only candidates of the last rung can be chosen; none whose score is not a number.
    deciding = found[f"mean_{criterion.key}"]
    scores = np.nan_to_num(criterion.sign * deciding.round(12), nan=-np.inf)
    scores[found["rung"] < halvings] = -np.inf
    chosen = scores.argmax(axis=1)
    epochs = found["epochs"] if halvings else None
    ways = {"chosen": chosen[:-1], "baseline": [-1] * len(outer)}
    for name, members in (groups or {}).items():
        ways[name] = np.array(members)[scores[:-1, members].argmax(axis=1)]
    best = dict(candidates[chosen[-1]])
    if halvings:
        best |= _epochs_parameter(estimator, found["epochs"][-1, chosen[-1]])
    run = {"seed": seed, "n_jobs": n_jobs, "options": _options(scoring)}
    return {
        "inner": found,
        "chosen": chosen,
        "best_params": best,
        "inner_score": deciding[range(len(outer)), chosen[:-1]],
        "outer": _score_outer(estimator, candidates, epochs, ways, data, outer, **run),
    }


class _Criterion(NamedTuple):
    """What candidates are chosen by."""

    key: str  # of the scores
    sign: int  # -1 if the smallest is best
    scoring: Mapping[str, str | Callable]  # the scorer, if it is not ours


def _options(scoring, **more):
    """Return the options of the engine that ask for our scores and those of the scorers."""
    return Options(scorer=Scorers(scoring) if scoring else None, both=True, **more)


def _scores(results):
    """Select the scores of the test samples, and whether networks have collapsed."""
    return {k: v for k, v in results.items() if k.startswith("test_") or k == "collapsed"}


def _search(
    estimator, candidates, data, inner, halvings, pools, criterion, *, seed, n_jobs, progress
):
    """Train the candidates of every search on its inner splits, rung by rung.

    Returns arrays of shape (n_searches, n_candidates). The networks of all searches train
    together, and those of every rung have other seeds: the scores that led a candidate to the
    last rung play no part there.
    """
    shape = halvings + 1, len(candidates), sum(map(len, inner))
    seeds = np.reshape(network_seeds(seed, np.prod(shape)), shape)
    pipelines = [with_params(estimator, candidate) for candidate in candidates]
    found, left = {}, [range(len(candidates))] * len(inner)
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
        # A learning curve has our scores only.
        curves = 0 < halvings == rung and not criterion.scoring
        options = _options(criterion.scoring, curves=curves)
        results = fit_and_score(
            tasks, data, options, n_jobs, progress and (lambda n, share=share: progress(n * share))
        )
        for search, candidate, networks in places:
            scores, epochs = gather(results[networks]), rungs[candidate]
            if curves:
                part = best_part(criterion.sign * scores["curves"][criterion.key])
                scores |= {key: of[:, part].mean(axis=1) for key, of in scores["curves"].items()}
                epochs = part.stop
            values = _summary(_scores(scores)) | {"rung": rung, "epochs": epochs}
            for name, value in values.items():
                empty = np.zeros((len(inner), len(candidates)), np.asarray(value).dtype)
                found.setdefault(name, empty)[search, candidate] = value
        deciding = criterion.sign * found[f"mean_{criterion.key}"]
        on_rung = np.where(found["rung"] == rung, deciding, np.nan)
        left = [survivors(scores, pools) for scores in on_rung]
    return found


def _summary(scores):
    """Return mean and standard deviation of each score, and the number of collapsed networks."""
    collapsed = scores.pop("collapsed").sum()
    with np.errstate(invalid="ignore"):  # of networks that have diverged
        means = {f"mean_{key}": values.mean() for key, values in scores.items()}
        stds = {f"std_{key}": values.std() for key, values in scores.items()}
    return means | stds | {"collapsed": collapsed}


def _epochs_parameter(estimator, epochs):
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    return {f"{prefix}epochs": int(epochs)}


def _score_outer(estimator, candidates, epochs, ways, data, outer, *, seed, n_jobs, options):
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
    results = fit_and_score(tasks, data, options, n_jobs)
    scores = dict(zip(needed, map(_scores, results), strict=True))
    return {
        way: {"candidate": np.array(choices)}
        | {"epochs": np.array([last_step(pipeline(*pair)).epochs for pair in enumerate(choices)])}
        | gather([scores[pair] for pair in enumerate(choices)])
        for way, choices in ways.items()
    }
