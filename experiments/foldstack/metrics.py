"""Score the outputs of networks: by measures of ours, or by any scorer of scikit-learn."""

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import get_scorer
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples


def measure(
    y: np.ndarray, probability: np.ndarray, mask: np.ndarray | bool = True
) -> dict[str, np.ndarray]:
    """Compute the accuracy and the log loss, and whether a network has collapsed.

    Parameters
    ----------
    y : bool array of shape (..., n_samples)
        Whether a sample belongs to the second class.
    probability : float32 array of shape (..., n_samples)
        Predicted probability of the second class.
    mask : bool array of shape (..., n_samples), optional
        Which samples count.

    Returns
    -------
    dict of arrays of shape (...)
        ``score``, the accuracy at a threshold of one half; ``log_loss``, the mean over
        samples in nats, with probabilities clipped as in `sklearn.metrics.log_loss`;
        ``collapsed``, whether one class is predicted for all samples or the loss is not
        finite.
    """
    of_truth = np.where(y, probability, 1 - probability)
    return _of_classes(probability > 0.5, y, of_truth, mask)


def measure_classes(
    y: np.ndarray, probability: np.ndarray, mask: np.ndarray | bool = True
) -> dict[str, np.ndarray]:
    """Compute what `measure` computes, for any number of classes.

    Parameters
    ----------
    y : int array of shape (..., n_samples)
        Index of the class; -1 for one that is not among those of the network.
    probability : float32 array of shape (..., n_samples, n_classes)
    mask : bool array of shape (..., n_samples), optional
    """
    of_truth = np.take_along_axis(probability, y.clip(min=0)[..., np.newaxis], axis=-1)[..., 0]
    of_truth = np.where(y >= 0, of_truth, 0).astype(probability.dtype)
    return _of_classes(probability.argmax(axis=-1), y, of_truth, mask)


def measure_numbers(
    y: np.ndarray, predicted: np.ndarray, mask: np.ndarray | bool = True
) -> dict[str, np.ndarray]:
    """Compute R² and the mean squared error, and whether a network has collapsed.

    Parameters
    ----------
    y, predicted : arrays of shape (..., n_samples, n_targets)
    mask : bool array of shape (..., n_samples), optional

    Returns
    -------
    dict of arrays of shape (...)
        ``score``, the R² of `sklearn.metrics.r2_score`; ``squared_error``, the mean over
        samples and targets; ``collapsed``, whether the same numbers are predicted for all
        samples or the error is not finite.
    """
    # Samples last and side by side: sums then add up each network's numbers in one order.
    y, predicted = (np.array(np.swapaxes(each, -1, -2), np.float64) for each in (y, predicted))
    mask = np.broadcast_to(np.expand_dims(mask, -2) if np.ndim(mask) else mask, y.shape)
    number = mask.sum(axis=-1)
    mean = np.where(mask, y, 0).sum(axis=-1) / number
    total = np.where(mask, (y - mean[..., np.newaxis]) ** 2, 0).sum(axis=-1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = np.where(mask, (y - predicted) ** 2, 0).sum(axis=-1)
        of_constant = np.where(error == 0, 1.0, 0.0)  # the convention of r2_score
        score = np.where(total == 0, of_constant, 1 - error / total).mean(axis=-1)
    low = predicted.min(axis=-1, where=mask, initial=np.inf)
    high = predicted.max(axis=-1, where=mask, initial=-np.inf)
    error = (error / number).mean(axis=-1)
    collapsed = (low == high).all(axis=-1) | ~np.isfinite(error)
    return {"score": score, "squared_error": error, "collapsed": collapsed}


def _of_classes(predicted, y, of_truth, mask):
    predicted = np.asarray(predicted, np.int64)
    tiny = np.finfo(of_truth.dtype).eps
    of_truth = of_truth.clip(tiny, 1 - tiny)
    # Not np.mean(..., where=mask): what that rounds depends on the networks before this one.
    losses = np.where(mask, -np.log(of_truth, dtype=np.float64), 0)
    loss = losses.sum(axis=-1) / np.broadcast_to(mask, losses.shape).sum(axis=-1)
    lowest = predicted.min(axis=-1, where=mask, initial=np.iinfo(np.int64).max)
    highest = predicted.max(axis=-1, where=mask, initial=-1)
    return {
        "score": np.mean(predicted == y, axis=-1, where=mask),
        "log_loss": loss,
        "collapsed": (lowest == highest) | ~np.isfinite(loss),
    }


def measure_outputs(truth: np.ndarray, outputs: np.ndarray, mask: np.ndarray, numbers: bool):
    """Measure (n_copies, n_samples, n_outputs) outputs: numbers, or those of a classifier.

    `truth` is that of `measure_numbers` or `measure_classes`; returns what they return.
    """
    if numbers:
        return measure_numbers(truth, outputs, mask)
    if outputs.shape[-1] == 1:
        return measure(truth == 1, outputs[..., 0], mask)
    return measure_classes(truth, outputs, mask)


class Predicted:
    """A fitted estimator that knows its predictions for one set of samples, and no others.

    Parameters
    ----------
    estimator : Pipeline or KerasClassifier or KerasRegressor
        Whose tags it has.
    network : KerasClassifier or KerasRegressor
        Built; it turns outputs into predictions.
    outputs : array of shape (n_samples, n_outputs)
        Of the network.
    """

    def __init__(self, estimator, network, outputs: np.ndarray):
        self._estimator = estimator
        self._network = network
        self._outputs = outputs
        if is_classifier(estimator):
            self.classes_ = network.classes_

    def __sklearn_tags__(self):
        return get_tags(self._estimator)

    def predict(self, X) -> np.ndarray:
        """Return the predictions for the samples."""
        outputs = self._for(X)
        if is_classifier(self._estimator):
            return self._network.target_encoder_.inverse_transform(outputs)
        return outputs[:, 0] if self._network.n_outputs_ == 1 else outputs

    @available_if(lambda self: is_classifier(self._estimator))
    def predict_proba(self, X) -> np.ndarray:
        """Return the probability of each class for the samples."""
        outputs = self._for(X)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def _for(self, X):
        if _num_samples(X) != len(self._outputs):
            raise ValueError("a scorer may predict for the samples that it is given only")
        return self._outputs


class Scorers:
    """Several scorers as one, which returns nan for a network that has diverged.

    Most measures of scikit-learn refuse outputs that are not finite.

    Parameters
    ----------
    scoring : mapping of str to str or callable
        Scorers, or scikit-learn's names of them, by the names of the scores.
    """

    def __init__(self, scoring: Mapping[str, str | Callable]):
        self._scorers = {name: get_scorer(scorer) for name, scorer in scoring.items()}

    def __call__(self, estimator: BaseEstimator, X, y: np.ndarray) -> dict[str, float]:
        """Return the scores of a fitted estimator by name."""
        method = estimator.predict_proba if is_classifier(estimator) else estimator.predict
        if not np.isfinite(method(X)).all():
            return dict.fromkeys(self._scorers, np.nan)
        return {name: scorer(estimator, X, y) for name, scorer in self._scorers.items()}
