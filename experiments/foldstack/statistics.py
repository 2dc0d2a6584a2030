"""Intervals and tests for differences of cross-validated scores.

Two questions, two standard errors. Averaged over splits and seeds, does A score better
than B *on these rows*? The repeats answer that, and more of them sharpen the answer.
Would it *on new rows*? The folds of a cross-validation share most of their training rows,
so their scores are not independent, and no number of repeats makes up for few rows.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Estimate(NamedTuple):
    """A mean with its interval and the p-value of a mean of zero, two-sided."""

    mean: float
    low: float
    high: float
    p: float


def t_estimate(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Estimate a mean from independent values: mean ± t · s / √n, n−1 degrees of freedom.

    Parameters
    ----------
    values : array of shape (n,), n at least 2
    level : float
        Coverage of the interval.
    """
    values = np.asarray(values, float)
    return _estimate(values.mean(), values.std(ddof=1) / np.sqrt(len(values)), len(values), level)


def corrected_resampled_t(
    differences: np.ndarray, test_to_train: float, level: float = 0.95
) -> Estimate:
    """Estimate a mean difference for new rows from the differences of J resamples.

    The variance of the mean is taken as s² · (1/J + n_test/n_train), with J−1 degrees of
    freedom: the second term stands for what overlapping training sets have in common.

    Parameters
    ----------
    differences : array of shape (J,), J at least 2
        Scores of A less scores of B on the same resample (repeat and fold).
    test_to_train : float
        n_test / n_train; 1/9 with 10 folds.
    level : float
        Coverage of the interval.

    References
    ----------
    C. Nadeau and Y. Bengio (2003), Inference for the generalization error, Machine Learning
    52, 239-281. For repeated cross-validation: R. R. Bouckaert and E. Frank (2004),
    Evaluating the replicability of significance tests for comparing learning algorithms.
    """
    differences = np.asarray(differences, float)
    J = len(differences)
    error = differences.std(ddof=1) * np.sqrt(1 / J + test_to_train)
    return _estimate(differences.mean(), error, J, level)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number: Holm's step-down method.

    The k-th smallest of m is multiplied by m−k+1, then no adjusted value is less than that
    of a smaller p, nor more than 1.

    References
    ----------
    S. Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian
    Journal of Statistics 6, 65-70.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(p_values[order] * factors).clip(max=1)
    return adjusted


def verdict(difference: float, p: float, alpha: float = 0.05) -> str:
    """Say it in words: better or worse where p is below alpha, else too close to call."""
    if p >= alpha:
        return "too close to call"
    return "better" if difference > 0 else "worse"


def share_estimate(hits: int, number: int, level: float = 0.95) -> tuple[float, float, float]:
    """Estimate a share with Wilson's interval: share, low, high."""
    interval = stats.binomtest(hits, number).proportion_ci(level, method="wilson")
    return hits / number, interval.low, interval.high


def _estimate(mean, error, number, level):
    if mean == error == 0:  # the very same scores throughout
        return Estimate(0.0, 0.0, 0.0, 1.0)
    if error <= 1e-12 * abs(mean):  # a few equal values say nothing of how others would vary
        return Estimate(float(mean), -np.inf, np.inf, 1.0)
    distribution = stats.t(number - 1)
    reach = distribution.ppf((1 + level) / 2) * error
    p = 2 * distribution.sf(abs(mean) / error)
    return Estimate(float(mean), float(mean - reach), float(mean + reach), float(p))
