"""Cross-validation by scikit-learn's own function: the reference for the stacked networks."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.pipeline import Pipeline

from .engine import gather, resolve_n_jobs, split_tasks, use_one_thread
from .metrics import measure


def cross_validate_sequentially(
    estimator: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    *,
    cv: int | Iterable | None = None,
    seeds: Sequence[int] | None = None,
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
    estimator, X, y, cv, seeds, n_jobs, return_estimator, progress
        See `cross_validate`.

    Returns
    -------
    dict of arrays of shape (n_splits,)
        The keys are those of `cross_validate`, without ``build_time``.
    """
    X, y = np.asarray(X), np.asarray(y)
    calls = [
        delayed(_fit_and_score)(task, X, y, return_estimator)
        for task in split_tasks(estimator, X, y, cv, seeds)
    ]
    results = []
    for result in Parallel(n_jobs=resolve_n_jobs(n_jobs), return_as="generator")(calls):
        results.append(result)
        if progress is not None:
            progress(1)
    return gather(results)


def _fit_and_score(task, X, y, return_estimator):
    use_one_thread()
    seeded = clone(task.pipeline)
    seeded[-1].set_params(random_state=task.seed)
    scores = sklearn_cross_validate(
        seeded,
        X,
        y,
        cv=[(task.train, task.test)],
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
