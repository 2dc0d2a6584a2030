"""scikeras' classifier, corrected; the one module that knows scikeras."""

import numpy as np

from .stack import Unstackable, keras, tf  # isort: skip  # refuses another Keras backend first

from scikeras.wrappers import KerasClassifier as ScikerasClassifier
from sklearn.utils import ClassifierTags

# Parameters that a network trained in a stack follows, and those that do not change its training.
FOLLOWED = {"model", "epochs", "batch_size", "random_state", "loss", "optimizer"}
WITHOUT_EFFECT = {"verbose", "metrics", "validation_batch_size"}


class KerasClassifier(ScikerasClassifier):
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
        tags.target_tags.required = True
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
            Also stored as ``model_``; the classifier can predict with it.
        """
        self.initialize(X, y)
        self._ensure_compiled_model()
        return self.model_

    def training_parameters(self, n_samples: int) -> tuple[int, int]:
        """Return the number of epochs and the batch size.

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
        for name, value in self.get_params(deep=False).items():
            if name in FOLLOWED | WITHOUT_EFFECT or name.startswith(("model__", "predict__")):
                continue
            if name not in defaults or value != defaults[name]:
                raise Unstackable(f"parameter {name}={value!r} of KerasClassifier")
        batch_size = resolve_batch_size(self.batch_size, n_samples)
        for name, value in (("epochs", self.epochs), ("batch_size", batch_size)):
            if not isinstance(value, int | np.integer) or not 0 < value < 2**31:
                raise ValueError(f"`{name}` must be a positive integer below 2^31, got {value!r}")
        return self.epochs, batch_size


def resolve_batch_size(batch_size: int | None, n_samples: int) -> int:
    """Return the batch size: None means 32 (Keras' default), -1 the whole training set."""
    return {None: 32, -1: n_samples}.get(batch_size, batch_size)
