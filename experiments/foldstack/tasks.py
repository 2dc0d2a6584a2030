"""What is to be trained: samples, splits, parameters and seeds, for scikit-learn's estimators."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_array, column_or_1d, indexable
from sklearn.utils.metadata_routing import process_routing


class Data(NamedTuple):
    """The samples that all tasks share."""

    X: object  # what the first step of the pipeline takes: an array, a frame, a sparse matrix
    y: np.ndarray  # (n_samples,) or (n_samples, n_targets)
    sample_weight: np.ndarray | None = None  # of the last step
    params: Mapping[str, object] = {}  # of fitting the other steps


class Training(NamedTuple):
    """How a network is trained, apart from what is compiled into it."""

    epochs: int
    batch_size: int
    n_validation: int  # the last of the training samples, held out


class Task(NamedTuple):
    """One network to train and score; those that differ in hyperparameters only share stacks."""

    estimator: BaseEstimator  # unfitted
    seed: int  # of the initial weights, the order of samples and the dropout masks
    train: np.ndarray  # sample numbers
    test: np.ndarray

    def transform(self, data: Data) -> tuple:
        """Fit the steps before the network; return them, and the samples they transformed."""
        X_train, X_test = (_safe_indexing(data.X, rows) for rows in (self.train, self.test))
        transformers = None
        if isinstance(self.estimator, Pipeline) and len(self.estimator) > 1:
            params = _of_samples(data.params, len(data.y), self.train)
            transformers = clone(self.estimator[:-1])
            X_train = transformers.fit_transform(X_train, data.y[self.train], **params)
            X_test = transformers.transform(X_test)
        return transformers, _as_input(X_train), _as_input(X_test)

    def width(self, data: Data) -> int | None:
        """Return the number of features after the steps; None if it is the same for all splits."""
        steps = self.estimator.steps[:-1] if isinstance(self.estimator, Pipeline) else ()
        if all(isinstance(step, OneToOneFeatureMixin) for _, step in steps):
            return None
        return self.transform(data)[1].shape[1]

    def sample_weights(self, data: Data) -> np.ndarray | None:
        """Return the weights of the training samples, those of their classes included."""
        weights = None if data.sample_weight is None else data.sample_weight[self.train]
        return last_step(self.estimator).sample_weights(data.y[self.train], weights)

    def classes(self, data: Data) -> tuple | None:
        """Return the classes of the training samples, or None if the targets are others."""
        if data.y.ndim != 1 or not is_classifier(self.estimator):
            return None
        return tuple(np.unique(data.y[self.train]).tolist())


def _of_samples(params, n_samples, rows):
    """Select from parameters those rows of what has a value for each sample."""

    def select(value):
        one_each = hasattr(value, "__len__") and not isinstance(value, str | bytes)
        return _safe_indexing(value, rows) if one_each and len(value) == n_samples else value

    return {name: select(value) for name, value in params.items()}


def _as_input(X):
    """Return what a network can take in: a dense array of finite numbers."""
    return check_array(X.toarray() if issparse(X) else X)


def as_data(estimator: BaseEstimator, X, y, params: Mapping[str, object] | None = None) -> Data:
    """Take samples by position, as scikit-learn does, and sort the parameters of fitting.

    Raises
    ------
    TypeError
        If a parameter is none of a step's, or metadata routing has not been asked for it.
    """
    X, y = indexable(X, y)
    X = X if hasattr(X, "shape") else np.asarray(X)
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return Data(X, y, *fit_parameters(estimator, params or {}))


def split_tasks(
    estimator: BaseEstimator, data: Data, cv: object, seeds: Sequence[int] | None, split_params=None
) -> list[Task]:
    """Check the estimator, and return a task for each split of `cv`, with a seed of its own."""
    check_estimator(estimator)
    splits = split_samples(estimator, data, cv, split_params)
    if seeds is None:
        seeds = network_seeds(last_step(estimator).random_state, len(splits))
    return [Task(estimator, seed, *split) for seed, split in zip(seeds, splits, strict=True)]


def split_samples(estimator, data, cv, split_params=None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the sample numbers of each split; `cv` may have numbers or masks."""
    cv, numbers = check_cv(cv, data.y, classifier=is_classifier(estimator)), np.arange(len(data.y))
    splits = cv.split(data.X, data.y, **(split_params or {}))
    return [(numbers[np.asarray(train)], numbers[np.asarray(test)]) for train, test in splits]


def candidate_tasks(estimator, candidates, splits, seed) -> list[Task]:
    """Return a task for each split of each candidate, candidate by candidate."""
    seeds = iter(network_seeds(seed, len(candidates) * len(splits)))
    estimators = [with_params(estimator, candidate) for candidate in candidates]
    return [Task(each, next(seeds), *split) for each in estimators for split in splits]


def network_seeds(seed: int | None, number: int) -> list[int]:
    """Draw a seed for each of `number` networks; the first ones do not depend on `number`."""
    return np.random.SeedSequence(seed).generate_state(number).tolist()


def last_step(estimator: BaseEstimator) -> BaseEstimator:
    """Return the last step of a pipeline, or the estimator itself if it is none."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def check_estimator(estimator: BaseEstimator) -> None:
    """Raise TypeError unless the estimator is a Keras one of ours, or a pipeline ending in one.

    A step that resamples is refused by name: the targets would no longer be those of `y`.
    """
    last = last_step(estimator)
    if not hasattr(last, "early_stopping"):
        raise TypeError(
            "the estimator must be a foldstack.KerasClassifier or KerasRegressor, or a Pipeline "
            f"whose last step is one, got {type(last).__name__}"
        )
    for name, step in estimator.steps[:-1] if isinstance(estimator, Pipeline) else ():
        if hasattr(step, "fit_resample"):
            raise TypeError(
                f"step {name!r} of type {type(step).__name__} resamples, which has no stacked "
                "form; use scikit-learn's own `cross_validate` or `GridSearchCV` instead"
            )


def with_params(estimator: BaseEstimator, parameters: Mapping[str, object]) -> BaseEstimator:
    """Clone an estimator and set parameters; raise ValueError for one that there is not."""
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    known, last = estimator.get_params(), last_step(estimator)
    for name in parameters:
        if name not in known and not (
            name.startswith(prefix) and last.accepts(name[len(prefix) :])
        ):
            names = sorted({*known, *(prefix + own for own in last.model_parameters())})
            raise ValueError(f"there is no parameter {name}; there are {', '.join(names)}")
        if name == f"{prefix}random_state":
            raise ValueError(f"{name} cannot be searched: every network has a seed of its own")
    changed = clone(estimator).set_params(**clone(dict(parameters), safe=False))
    check_estimator(changed)
    return changed


def fit_parameters(estimator: BaseEstimator, params: Mapping[str, object]) -> tuple:
    """Divide parameters of `fit` into the last step's sample weight and those of other steps."""
    if not isinstance(estimator, Pipeline):
        own, others = params, {}
    elif get_config()["enable_metadata_routing"]:
        own = process_routing(estimator, "fit", **params)[estimator.steps[-1][0]]["fit"]
        others = {}
        if len(estimator) > 1:
            asked = estimator[:-1].get_metadata_routing().consumes("fit_transform", params)
            others = {name: params[name] for name in asked}
    else:
        prefix = f"{estimator.steps[-1][0]}__"
        own = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
        others = {k: v for k, v in params.items() if not k.startswith(prefix)}
    if unknown := set(own) - {"sample_weight"}:
        raise TypeError(f"`fit` of networks in stacks takes `sample_weight`, not {min(unknown)!r}")
    weight = own.get("sample_weight")
    return (None if weight is None else np.asarray(weight, float)), others


def gather(results: Sequence[dict]) -> dict:
    """Turn dicts of scores into a dict of arrays, estimators into a list, nested dicts likewise."""
    gathered = {}
    for key, value in results[0].items():
        values = [result[key] for result in results]
        if isinstance(value, dict):
            gathered[key] = gather(values)
        else:
            gathered[key] = values if key == "estimator" else np.array(values)
    return gathered


def encode_targets(network: BaseEstimator, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return all samples' targets as a built network learns them, what scores compare with, and
    the number of classes.

    Scores compare with a class index, -1 for a class that the network does not know, or with
    the numbers of a regressor, which has 0 classes.
    """
    if not is_classifier(network):
        targets = np.asarray(y, float).reshape(len(y), -1)
        return targets, targets, 0
    if y.ndim == 2:
        if not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
            raise TypeError(
                "targets of several labels have no stacked form, other than one-hot classes"
            )
        return np.asarray(y, float), y.argmax(axis=1), y.shape[1]
    known = np.isin(y, network.classes_)
    encoded = np.asarray(network.target_encoder_.transform(y[known]))
    targets = np.zeros((len(y), encoded.shape[1]), encoded.dtype)
    targets[known] = encoded
    truth = np.full(len(y), -1)
    truth[known] = np.searchsorted(network.classes_, y[known])
    return targets, truth, len(network.classes_)
