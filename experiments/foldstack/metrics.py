"""Score predicted probabilities, of one network or of many at once."""

import numpy as np


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
    tiny = np.finfo(probability.dtype).eps
    of_truth = np.where(y, probability, 1 - probability).clip(tiny, 1 - tiny)
    # Not np.mean(..., where=mask): what that rounds depends on the networks before this one.
    losses = np.where(mask, -np.log(of_truth, dtype=np.float64), 0)
    loss = losses.sum(axis=-1) / np.broadcast_to(mask, losses.shape).sum(axis=-1)
    second = probability > 0.5
    one_class = second.all(axis=-1, where=mask) | ~second.any(axis=-1, where=mask)
    return {
        "score": np.mean(second == y, axis=-1, where=mask),
        "log_loss": loss,
        "collapsed": one_class | ~np.isfinite(loss),
    }
