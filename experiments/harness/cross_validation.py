"""Cross-validation of a pipeline: scikit-learn's splits, clones and scores."""

import os
from collections.abc import Callable, Iterable

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.pipeline import Pipeline

ENGINES = ("scikit-learn",)


def cross_validate(
    pipeline: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    cv: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    jobs: int | None = None,
    return_estimator: bool = False,
    progress: Callable[[int], None] = lambda finished: None,
) -> dict[str, np.ndarray]:
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
    jobs : int or None
        Processes to spread the splits over; None takes every core.
    return_estimator : bool
        Also return the fitted pipelines, under ``"estimator"``.
    progress : callable
        Called with the number of splits finished since the last call.

    Returns
    -------
    dict of arrays of shape (splits,)
        ``test_score`` and ``train_score`` (accuracy), ``test_log_loss`` and
        ``train_log_loss`` (mean over rows, natural logarithm), ``fit_time``, ``score_time``.
    """
    splits = list(cv)
    tasks = (
        delayed(_fit_and_score)(pipeline, seed, X, y, split, return_estimator)
        for seed, split in zip(
            network_seeds(pipeline[-1].random_state, len(splits)), splits, strict=True
        )
    )
    results = []
    with parallel_config(backend="loky", inner_max_num_threads=1):
        for result in Parallel(n_jobs=jobs or os.cpu_count(), return_as="generator")(tasks):
            results.append(result)
            progress(1)
    gathered = {key: [one for result in results for one in result[key]] for key in results[0]}
    estimators = {"estimator": gathered.pop("estimator")} if return_estimator else {}
    return {key: np.array(values) for key, values in gathered.items()} | estimators


def network_seeds(seed: int | None, number: int) -> list[int]:
    """Draw a seed for each of `number` networks; the first ones do not depend on how many."""
    return np.random.SeedSequence(seed).generate_state(number).tolist()


def measure(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Score predicted probabilities against the truth.

    Parameters
    ----------
    y : bool array of shape (rows,)
        Whether a row is of the second class.
    probability : float32 array of shape (rows,)
        Predicted probability of the second class.

    Returns
    -------
    dict
        ``score``, the accuracy at a threshold of one half; ``log_loss``, its probabilities
        clipped as in `sklearn.metrics.log_loss`.
    """
    tiny = np.finfo(probability.dtype).eps
    of_truth = np.where(y, probability, 1 - probability).clip(tiny, 1 - tiny)
    return {
        "score": float(np.mean((probability > 0.5) == y)),
        "log_loss": float(-np.mean(np.log(of_truth, dtype=np.float64))),
    }


def _fit_and_score(pipeline, seed, X, y, split, return_estimator):
    seeded = clone(pipeline)
    seeded[-1].set_params(random_state=seed)
    return sklearn_cross_validate(
        seeded,
        X,
        y,
        cv=[split],
        scoring=_score,
        return_train_score=True,
        return_estimator=return_estimator,
        error_score="raise",
    )


def _score(pipeline, X, y):
    return measure(y == pipeline.classes_[1], pipeline.predict_proba(X)[:, 1])
