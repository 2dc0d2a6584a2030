"""The scikit-learn pipeline around the network; the one place that knows scikeras."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.foldstack.backend import keras, tf  # first: it quietens TensorFlow
from experiments.foldstack.network import build_network, rows_in_a_step
from experiments.harness.errors import Unstackable

# isort: split
from scikeras.wrappers import KerasClassifier as ScikerasClassifier
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import ClassifierTags


class KerasClassifier(ScikerasClassifier):
    """scikeras' classifier with two faults mended.

    scikeras 0.13 describes itself in a way that scikit-learn 1.6 stopped reading, so that
    `is_classifier` was False and ``cv=10`` silently meant folds that are not stratified.

    With an integer ``random_state`` the rows came in the same order in every epoch: once a
    seed is set, a random operation inside tf.data, where Keras 3 shuffles, starts anew with
    every epoch. Here they are reshuffled, from the seed.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        tags.target_tags.required = True
        return tags

    def _fit_keras_model(self, X, y, sample_weight, **options):
        in_arrays = self.validation_split or sample_weight is not None  # Keras splits no dataset
        if isinstance(self._random_state, int) and self.shuffle and not in_arrays:
            batch_size = rows_in_a_step(self.batch_size, len(X))
            rows = tf.data.Dataset.from_tensor_slices((X, np.reshape(y, (len(y), -1))))
            X = rows.shuffle(len(X), seed=self._random_state).batch(batch_size)
            y = None
            options |= {"batch_size": None, "shuffle": False}  # the rows see to both
        super()._fit_keras_model(X, y, sample_weight, **options)

    def build(self, X: np.ndarray, y: np.ndarray) -> keras.Model:
        """Build and compile the network for such data, untrained, ready to predict."""
        self.initialize(X, y)
        self._ensure_compiled_model()
        return self.model_

    def training_parameters(self, rows: int) -> tuple[int, int]:
        """Give the number of epochs and the batch size for so many training rows.

        Raises
        ------
        Unstackable
            If another parameter than these and the builder's would change the training.
        ValueError
            If they are not positive whole numbers.
        """
        defaults = ScikerasClassifier().get_params(deep=False)
        stackable = {"model", "epochs", "batch_size", "random_state", "verbose", "loss",
                     "optimizer", "metrics", "validation_batch_size"}  # fmt: skip
        for name, value in self.get_params(deep=False).items():
            if name in stackable or name.startswith(("model__", "predict__")):
                continue
            if name not in defaults or value != defaults[name]:
                raise Unstackable(f"parameter {name}={value!r} of KerasClassifier")
        batch_size = rows_in_a_step(self.batch_size, rows)
        for name, value in (("epochs", self.epochs), ("batch_size", batch_size)):
            if not isinstance(value, int | np.integer) or not 0 < value < 2**31:
                raise ValueError(f"{name} is a positive whole number below 2^31, not {value!r}")
        return self.epochs, batch_size


def build_pipeline(
    settings: Mapping[str, object],
    *,
    epochs: int = 300,
    batch_size: int = 16,
    random_state: int | None = None,
) -> Pipeline:
    """Build the pipeline standardize → mlp, unfitted.

    Parameters
    ----------
    settings : mapping
        Keyword parameters of `build_network`; each is reachable on the pipeline as
        ``mlp__model__<name>``.
    epochs, batch_size : int
        Passes over the training rows, rows in a step of training.
    random_state : int or None
        Seed of the initial weights, the order of rows and the dropout masks.
    """
    parameters = build_network.__kwdefaults__ | dict(settings)
    return Pipeline(
        [
            ("standardize", StandardScaler()),
            (
                "mlp",
                KerasClassifier(
                    model=build_network,
                    epochs=epochs,
                    batch_size=batch_size,
                    verbose=0,
                    random_state=random_state,
                    **{f"model__{name}": value for name, value in parameters.items()},
                ),
            ),
        ]
    )


def fitted_pipeline(
    pipeline: Pipeline,
    transformers: Pipeline | None,
    random_state: int,
    X: np.ndarray,
    y: np.ndarray,
    weights: Sequence[np.ndarray],
) -> Pipeline:
    """Put trained weights into a clone of the pipeline, as if it had been fitted.

    Parameters
    ----------
    pipeline : Pipeline
    transformers : Pipeline or None
        The fitted steps before the classifier.
    random_state : int
        The seed that the network was trained from.
    X, y : arrays of shape (rows, features) and (rows,)
        What the classifier was trained on: transformed rows, class labels.
    weights : list of arrays
        As of `keras.Model.get_weights`.
    """
    fitted = clone(pipeline)
    fitted[-1].set_params(random_state=random_state).build(X, y).set_weights(weights)
    if transformers is not None:
        fitted.steps[:-1] = transformers.steps
    return fitted
