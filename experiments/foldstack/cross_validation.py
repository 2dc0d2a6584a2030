"""Cross-validation of a pipeline: scikit-learn's splits, clones and scores, by two engines.

The engine "stacked" trains the networks of all splits side by side; "scikit-learn" is
scikit-learn's own `cross_validate`, one network after another, and the reference that the
stacked engine is held to.
"""

import os
from collections.abc import Callable, Iterable

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.pipeline import Pipeline

from experiments.foldstack.engine import Task, fit_and_score_side_by_side
from experiments.foldstack.metrics import measure
from experiments.harness.interrupts import kept_from_children


def cross_validate(
    pipeline: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    cv: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    engine: str = "stacked",
    jobs: int | None = None,
    return_estimator: bool = False,
    return_curves: bool = False,
    dropout_passes: int = 0,
    progress: Callable[[float], None] = lambda finished: None,
) -> dict:
    """Fit and score a clone of the pipeline on every split, as scikit-learn does.

    It differs from `sklearn.model_selection.cross_validate` in one thing: each split's
    network gets a seed of its own, drawn from the pipeline's ``random_state``. An integer
    ``random_state`` would otherwise give every fold the same initial weights.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted; its last step is a `KerasClassifier`.
    X : array of shape (rows, features)
    y : array of shape (rows,)
        Class labels, two of them.
    cv : iterable of (train, test) index arrays
        For instance ``StratifiedKFold(10, shuffle=True).split(X, y)``.
    engine : {"stacked", "scikit-learn"}
    jobs : int or None
        Threads (stacked) or processes (scikit-learn); None takes one per core. The scores
        do not depend on it.
    return_estimator : bool
        Also return the list of fitted pipelines, under ``"estimator"``.
    return_curves : bool
        Also return, under ``"curves"``, the scores after every epoch, dropout off: a dict
        of arrays of shape (splits, epochs). Stacked engine only.
    dropout_passes : int
        If not 0, also score the held-out rows with dropout kept on, probabilities averaged
        over so many passes (Monte Carlo dropout): ``dropout_score``, ``dropout_log_loss``.
        Stacked engine only.
    progress : callable
        Called with the number of networks finished since the last call, a fraction too.

    Returns
    -------
    dict of arrays of shape (splits,)
        ``test_score`` and ``train_score`` (accuracy), ``test_log_loss``,
        ``train_log_loss`` and ``collapsed`` (on the training rows; see `measure`),
        ``fit_time`` and ``score_time`` (seconds; stacked: an equal share of the stack's,
        and ``build_time``, the same of making it).

    Raises
    ------
    Unstackable
        If the stacked engine cannot train such a pipeline; it names the part.
    """
    splits = list(cv)
    seeds = network_seeds(pipeline[-1].random_state, len(splits))
    if engine == "stacked":
        results = fit_and_score_side_by_side(
            [Task(pipeline, seed, *split) for seed, split in zip(seeds, splits, strict=True)],
            X, y, jobs=jobs, return_estimator=return_estimator, return_curves=return_curves,
            dropout_passes=dropout_passes, progress=progress,
        )  # fmt: skip
    elif engine == "scikit-learn" and not return_curves and not dropout_passes:
        results = _one_by_one(pipeline, X, y, splits, seeds, jobs, return_estimator, progress)
    elif engine == "scikit-learn":
        raise ValueError("curves and dropout passes need the engine 'stacked'")
    else:
        raise ValueError(f"no engine {engine!r}; there are 'stacked' and 'scikit-learn'")
    gathered = {key: [result[key] for result in results] for key in results[0]}
    apart = {}
    if return_estimator:
        apart["estimator"] = gathered.pop("estimator")
    if return_curves:
        curves = gathered.pop("curves")
        apart["curves"] = {key: np.array([one[key] for one in curves]) for key in curves[0]}
    return {key: np.array(values) for key, values in gathered.items()} | apart


def repeated_splits(
    X: np.ndarray, y: np.ndarray, *, folds: int, repeats: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw stratified, shuffled folds, `repeats` times; the same for every arm.

    Returns
    -------
    list of (train, test) index arrays, of length repeats × folds
        One repeat after another; the first ones do not depend on the number of repeats.
    """
    cv = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    return list(cv.split(X, y))


def network_seeds(seed: int | None, number: int) -> list[int]:
    """Draw a seed for each of `number` networks; the first ones do not depend on how many."""
    return np.random.SeedSequence(seed).generate_state(number).tolist()


def _one_by_one(pipeline, X, y, splits, seeds, jobs, return_estimator, progress):
    """Fit and score with scikit-learn's own function, splits spread over processes."""
    tasks = (
        delayed(_fit_and_score)(pipeline, seed, X, y, split, return_estimator)
        for seed, split in zip(seeds, splits, strict=True)
    )
    results = []
    with parallel_config(backend="loky", inner_max_num_threads=1):
        with kept_from_children():
            arriving = Parallel(n_jobs=jobs or os.cpu_count(), return_as="generator")(tasks)
        for result in arriving:
            results.append(result)
            progress(1)
    return results


def _fit_and_score(pipeline, seed, X, y, split, return_estimator):
    seeded = clone(pipeline)
    seeded[-1].set_params(random_state=seed)
    scores = sklearn_cross_validate(
        seeded,
        X,
        y,
        cv=[split],
        scoring=_score,
        return_train_score=True,
        return_estimator=return_estimator,
        error_score="raise",
    )
    scores["collapsed"] = scores.pop("train_collapsed")
    del scores["test_collapsed"]  # one class may well be right for a few rows
    return {key: value[0] for key, value in scores.items()}


def _score(pipeline, X, y):
    return measure(y == pipeline.classes_[1], pipeline.predict_proba(X)[:, 1])
