"""Cross-validation by scikit-learn's own function: the reference for the stacked networks."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.model_selection import cross_validate as sklearn_cross_validate

from .engine import resolve_n_jobs, use_one_thread
from .metrics import measure_outputs
from .tasks import as_data, gather, last_step, split_tasks


def cross_validate_sequentially(
    estimator: BaseEstimator,
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
    data = as_data(estimator, X, y)
    calls = [
        delayed(_fit_and_score)(task, data.X, data.y, return_estimator)
        for task in split_tasks(estimator, data, cv, seeds)
    ]
    results = []
    for result in Parallel(n_jobs=resolve_n_jobs(n_jobs), return_as="generator")(calls):
        results.append(result)
        if progress is not None:
            progress(1)
    return gather(results)


def _fit_and_score(task, X, y, return_estimator):
    use_one_thread()
    seeded = clone(task.estimator)
    last_step(seeded).set_params(random_state=task.seed)
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


def _score(estimator, X, y):
    if not is_classifier(estimator):
        y, outputs = np.reshape(y, (len(y), -1)), np.reshape(estimator.predict(X), (len(y), -1))
        return measure_outputs(y, outputs, True, numbers=True)
    outputs = estimator.predict_proba(X)
    outputs = outputs[:, 1:] if outputs.shape[1] == 2 else outputs
    return measure_outputs(np.searchsorted(estimator.classes_, y), outputs, True, numbers=False)
