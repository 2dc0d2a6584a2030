"""Score predicted probabilities against the truth, one network or many at once."""

import numpy as np


def measure(
    y: np.ndarray, probability: np.ndarray, rows: np.ndarray | bool = True
) -> dict[str, np.ndarray]:
    """Compute accuracy and log loss, and whether the network has collapsed.

    Parameters
    ----------
    y : bool array of shape (..., rows)
        Whether a row is of the second class.
    probability : float32 array of shape (..., rows)
        Predicted probability of the second class.
    rows : bool array of shape (..., rows), optional
        Which rows count.

    Returns
    -------
    dict of arrays of shape (...)
        ``score``, the accuracy at a threshold of one half; ``log_loss``, the mean over rows
        in nats, probabilities clipped as in `sklearn.metrics.log_loss`; ``collapsed``,
        whether one class is predicted for all rows or the loss is not finite.
    """
    tiny = np.finfo(probability.dtype).eps
    of_truth = np.where(y, probability, 1 - probability).clip(tiny, 1 - tiny)
    loss = -np.mean(np.log(of_truth, dtype=np.float64), axis=-1, where=rows)
    second = probability > 0.5
    one_class = second.all(axis=-1, where=rows) | ~second.any(axis=-1, where=rows)
    return {
        "score": np.mean(second == y, axis=-1, where=rows),
        "log_loss": loss,
        "collapsed": one_class | ~np.isfinite(loss),
    }
