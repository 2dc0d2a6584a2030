"""scikeras' classifier and regressor, corrected; the one module that knows scikeras."""

import inspect
import math

import numpy as np

from .recipe import Unstackable, keras, tf  # isort: skip  # refuses another Keras backend first

from scikeras.utils.transformers import RegressorTargetEncoder
from scikeras.wrappers import KerasClassifier as ScikerasClassifier
from scikeras.wrappers import KerasRegressor as ScikerasRegressor
from scipy.sparse import issparse
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import ClassifierTags, RegressorTags, compute_sample_weight

from .tasks import Training

# Parameters that a network trained in a stack follows, and those that do not change its training.
FOLLOWED = {"model", "epochs", "batch_size", "random_state", "loss", "optimizer", "metrics"}
FOLLOWED |= {"callbacks", "validation_split", "class_weight"}
WITHOUT_EFFECT = {"verbose", "validation_batch_size"}
ROUTED = ("optimizer__", "loss__", "metrics__", "compile__", "callbacks__", "predict__")


class _Stackable:
    """What classifier and regressor add to scikeras'."""

    standardizes_targets = False

    @property
    def feature_encoder(self):
        """Sparse matrices become dense: TensorFlow takes few of SciPy's formats."""
        return FunctionTransformer(_dense, accept_sparse=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        return tags

    def _build_keras_model(self):
        if self._random_state is not None:
            # TensorFlow checks only once whether it must be deterministic. scikeras demands
            # that while it builds and fits with a seed: were the first check within, later
            # fits without a seed would be refused.
            tf.random.uniform(())
        return super()._build_keras_model()

    def _fit_keras_model(self, X, y, sample_weight, **options):
        in_arrays = self.validation_split or sample_weight is not None  # Keras splits no dataset
        if isinstance(self._random_state, int) and self.shuffle and not in_arrays:
            batch_size = resolve_batch_size(self.batch_size, len(X))
            samples = tf.data.Dataset.from_tensor_slices((X, np.reshape(y, (len(y), -1))))
            X = samples.shuffle(len(X), seed=self._random_state).batch(batch_size)
            y = None
            options |= {"batch_size": None, "shuffle": False}  # the dataset does both
        super()._fit_keras_model(X, y, sample_weight, **options)

    def build(self, X: np.ndarray, y: np.ndarray) -> keras.Model:
        """Build and compile the network without training it.

        Parameters
        ----------
        X, y
            See `cross_validate`.

        Returns
        -------
        keras.Model
            Also stored as ``model_``; the estimator can predict with it.
        """
        self.initialize(X, y)
        arguments = inspect.signature(self.model).parameters if callable(self.model) else {}
        if self.model_.compiled and not {"compile_kwargs", "params"} & arguments.keys():
            self._refuse_optimizer()
        self._ensure_compiled_model()
        self.model_.optimizer.build(self.model_.trainable_variables)  # or it cannot be pickled
        self._check_model_compatibility(self.target_encoder_.transform(np.asarray(y)))
        return self.model_

    def _refuse_optimizer(self):
        """Refuse an optimizer for a network that has one: scikeras ignores it without a word."""
        default = ScikerasClassifier().optimizer
        for name, value in self.get_params(deep=False).items():
            if (name == "optimizer" and value != default) or name.startswith("optimizer__"):
                raise ValueError(
                    f"`{name}` has no effect: `model` has compiled the network already"
                )

    def training(self, n_samples: int) -> Training:
        """Return how a network is trained on so many samples.

        Parameters
        ----------
        n_samples : int
            Number of training samples.

        Raises
        ------
        Unstackable
            If a parameter is set that networks trained in a stack cannot follow.
        ValueError
            If epochs or batch size is not a positive integer.
        """
        defaults = ScikerasClassifier().get_params(deep=False)
        known = FOLLOWED | WITHOUT_EFFECT | set(_arguments(self.model))
        for name, value in self.get_params(deep=False).items():
            if name in known or self.accepts(name):
                continue
            if name not in defaults or value != defaults[name]:
                raise Unstackable(f"parameter {name}={value!r} of {type(self).__name__}")
        batch_size = resolve_batch_size(self.batch_size, n_samples)
        for name, value in (("epochs", self.epochs), ("batch_size", batch_size)):
            if not isinstance(value, int | np.integer) or not 0 < value < 2**31:
                raise ValueError(f"`{name}` must be a positive integer below 2^31, got {value!r}")
        # Rounded as Keras does.
        n_validation = n_samples - math.floor(n_samples * (1 - (self.validation_split or 0)))
        if not 0 <= n_validation < n_samples:
            raise ValueError(
                f"`validation_split` must be in [0, 1) and leave samples for training, got "
                f"{self.validation_split!r}"
            )
        return Training(self.epochs, batch_size, n_validation)

    def model_parameters(self) -> list[str]:
        """Return the parameters that set those of the function that builds the network."""
        return [f"model__{name}" for name in _arguments(self.model)]

    def accepts(self, name: str) -> bool:
        """Return whether a parameter that is not in `get_params` can be set all the same."""
        if not name.startswith("model__"):
            return name.startswith(ROUTED)
        arguments = _arguments(self.model)
        return name.removeprefix("model__") in arguments or "**" in arguments

    def early_stopping(self, n_validation: int) -> list[keras.callbacks.EarlyStopping]:
        """Return the callbacks of the estimator, once its network is built.

        Raises
        ------
        Unstackable
            If there are others than Keras' EarlyStopping, or one that monitors what is not
            measured in a stack.
        """
        callbacks = list(_flat(self._fit_callbacks))
        known = {"loss"}
        if n_validation:
            metrics = getattr(self.model_._compile_metrics, "_user_metrics", None)
            known |= {"val_loss"} | (
                {"val_accuracy"} if "accuracy" in _flat(metrics or ()) else set()
            )
        for callback in callbacks:
            name = type(callback).__name__
            if type(callback) is not keras.callbacks.EarlyStopping:
                raise Unstackable(f"callback {name}")
            if callback.monitor not in known:
                raise Unstackable(f"monitor {callback.monitor!r} of {name} for this network")
        return callbacks

    def sample_weights(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weights of training samples, those of their classes included, or None."""
        if getattr(self, "class_weight", None) is None:
            return sample_weight
        of_classes = compute_sample_weight(self.class_weight, y)
        return of_classes if sample_weight is None else sample_weight * of_classes


class KerasClassifier(_Stackable, ScikerasClassifier):
    """scikeras' classifier with two faults corrected; the parameters are scikeras'.

    scikeras 0.13 is not recognised as a classifier by scikit-learn 1.6 and later, so that
    ``cv=10`` silently uses unstratified folds; here its tags are those of a classifier.

    With an integer ``random_state`` scikeras presents the samples in the same order in every
    epoch: with a seed set, a random operation inside tf.data, where Keras 3 shuffles, starts
    anew with every epoch. Here they are reshuffled, from the seed.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        return tags


class KerasRegressor(_Stackable, ScikerasRegressor):
    """scikeras' regressor with the same faults corrected as in `KerasClassifier`."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        return tags


class StandardizedRegressor(KerasRegressor):
    """A regressor whose network learns standardised targets, and whose predictions do not show it.

    Each target has mean 0 and standard deviation 1 over the training samples, whatever its unit.
    """

    standardizes_targets = True

    @property
    def target_encoder(self):
        """What targets pass through before training, and predictions backwards."""
        return _StandardTarget()


class _StandardTarget(RegressorTargetEncoder):
    """scikeras' encoder of targets, and a scaler of each."""

    def fit(self, y):
        """Store mean and scale of the training samples."""
        self.scaler_ = StandardScaler().fit(y.reshape(len(y), -1))
        return super().fit(y)

    def transform(self, y):
        """Return what the network learns."""
        y = super().transform(y)
        return self.scaler_.transform(y.reshape(len(y), -1)).reshape(y.shape)

    def inverse_transform(self, y):
        """Return a network's outputs in the units of the targets, in double precision."""
        y = super().inverse_transform(np.asarray(y, float))
        return self.scaler_.inverse_transform(y.reshape(len(y), -1)).reshape(y.shape)


def resolve_batch_size(batch_size: int | None, n_samples: int) -> int:
    """Return the batch size: None means 32 (Keras' default), -1 the whole training set."""
    return {None: 32, -1: n_samples}.get(batch_size, batch_size)


def _dense(X):
    return X.toarray() if issparse(X) else X


def _flat(nested):
    """Yield what is in nested lists, tuples and dicts."""
    for each in nested.values() if isinstance(nested, dict) else nested:
        if isinstance(each, list | tuple | dict):
            yield from _flat(each)
        else:
            yield each


def _arguments(function):
    """Return the names of a function's arguments, without those that scikeras passes itself."""
    if not callable(function):
        return []
    parameters = inspect.signature(function).parameters.values()
    names = ["**" if each.kind is each.VAR_KEYWORD else each.name for each in parameters]
    return [name for name in names if name not in ("meta", "params", "compile_kwargs")]
