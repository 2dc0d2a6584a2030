"""Cross-validation by scikit-learn's own function: the reference for the stacked networks."""

from collections.abc import Callable, Iterable

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.pipeline import Pipeline

from .engine import check_estimator, network_seeds, resolve_n_jobs, use_one_thread
from .metrics import measure


def cross_validate_sequentially(
    estimator: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    *,
    cv: int | Iterable | None = None,
    n_jobs: int | None = None,
    return_estimator: bool = False,
    progress: Callable[[float], None] | None = None,
) -> dict:
    """Cross-validate with `sklearn.model_selection.cross_validate`, one network after another.

    It trains what `cross_validate` cannot train in stacks, with the same splits and network
    seeds. The tasks run in joblib's worker processes, or as an active
    `joblib.parallel_config` says.

    Parameters
    ----------
    estimator, X, y, cv, n_jobs, return_estimator, progress
        As in `cross_validate`.

    Returns
    -------
    dict of arrays of shape (n_splits,)
        The keys are those of `cross_validate`, without ``build_time``.
    """
    check_estimator(estimator)
    X, y = np.asarray(X), np.asarray(y)
    splits = list(check_cv(cv, y, classifier=True).split(X, y))
    seeds = network_seeds(estimator[-1].random_state, len(splits))
    results = []
    for result in Parallel(n_jobs=resolve_n_jobs(n_jobs), return_as="generator")(
        delayed(_fit_and_score)(estimator, seed, X, y, split, return_estimator)
        for seed, split in zip(seeds, splits, strict=True)
    ):
        results.append(result)
        if progress is not None:
            progress(1)
    scores = {key: [result[key] for result in results] for key in results[0]}
    estimators = {"estimator": scores.pop("estimator")} if return_estimator else {}
    return {key: np.array(values) for key, values in scores.items()} | estimators


def _fit_and_score(estimator, seed, X, y, split, return_estimator):
    use_one_thread()
    seeded = clone(estimator)
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
    del scores["test_collapsed"]  # one class can be right for a few test samples
    return {key: value[0] for key, value in scores.items()}


def _score(pipeline, X, y):
    return measure(y == pipeline.classes_[1], pipeline.predict_proba(X)[:, 1])
