"""Compare cross-validated scores: intervals, tests and verdicts for paired differences.

There are two questions with two standard errors. Averaged over splits and seeds, does A
score better than B *on this dataset*? More repeats sharpen the answer. Would it *on new
data*? The folds of a cross-validation share most of their training samples, so their scores
are not independent, and no number of repeats makes up for a small dataset.

An interval gives two verdicts: the direction of a difference, and its size in regard to a
margin below which differences do not matter. If the intervals of a family of comparisons are to
hold all at once, each is taken at the confidence level that `family_level` returns.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

# With fewer repeats, the interval on this dataset is taken over the folds.
MIN_REPEATS = 10


class Interval(NamedTuple):
    """A mean with its confidence interval and the two-sided p-value of a mean of zero.

    Several means have arrays.
    """

    mean: float
    low: float
    high: float
    p: float


class Comparison(NamedTuple):
    """A mean difference with its interval and p-value on this dataset and on new data."""

    difference: float
    dataset_low: float
    dataset_high: float
    dataset_p: float
    new_data_low: float
    new_data_high: float
    new_data_p: float


def compare(
    first: ArrayLike,
    second: ArrayLike,
    *,
    repeats: ArrayLike,
    test_train_ratio: float,
    scale: float = 1.0,
    confidence_level: float = 0.95,
) -> Comparison:
    """Compare the scores of two estimators on the same splits of a repeated cross-validation.

    Parameters
    ----------
    first, second : array-like of shape (n_splits,)
        Scores, paired by position.
    repeats : array-like of shape (n_splits,)
        The repeat that each split belongs to.
    test_train_ratio : float
        Number of test samples divided by the number of training samples; 1/9 with 10 folds.
    scale : float, default=1.0
        Factor of the differences; 100 turns accuracies into percentage points.
    confidence_level : float, default=0.95

    Returns
    -------
    Comparison
        Of the differences ``scale * (first - second)``. On this dataset: a t interval over
        the means of the repeats. With fewer than 10 repeats it is taken over the folds
        instead: their number makes up for their larger spread. It is usually too wide
        then, because how hard the samples of a fold are averages out over a repeat. On
        new data: the corrected resampled t-test over all folds.

    Raises
    ------
    ValueError
        If the arrays differ in length, or there are fewer than two splits.
    """
    first, second, repeats = (np.asarray(values) for values in (first, second, repeats))
    if not first.shape == second.shape == repeats.shape or first.ndim != 1:
        raise ValueError(
            "`first`, `second` and `repeats` must be of the same shape (n_splits,), got "
            f"{first.shape}, {second.shape} and {repeats.shape}"
        )
    differences = paired_differences(first, second, scale)
    dataset = t_interval(dataset_values(differences, repeats), confidence_level)
    new_data = corrected_resampled_t(differences, test_train_ratio, confidence_level)
    return Comparison(new_data.mean, *dataset[1:], *new_data[1:])


def paired_differences(first: ArrayLike, second: ArrayLike, scale: float = 1.0) -> np.ndarray:
    """Return ``scale * (first - second)``, zero where it is a rounding error of the scores."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    rounding = 1e-12 * np.maximum(np.abs(first), np.abs(second))
    differences = first - second
    return scale * np.where(np.abs(differences) <= rounding, 0.0, differences)


def dataset_values(differences: ArrayLike, repeats: ArrayLike) -> np.ndarray:
    """Return the values that the interval on this dataset is taken over.

    Parameters
    ----------
    differences, repeats : array-like of shape (n_splits,)
        See `compare`.

    Returns
    -------
    array of shape (n_repeats,) or (n_splits,)
        The mean of each repeat; with fewer than 10 repeats the differences themselves.
    """
    differences, repeats = np.asarray(differences), np.asarray(repeats)
    order = np.argsort(repeats, kind="stable")
    _, starts, sizes = np.unique(repeats[order], return_index=True, return_counts=True)
    means = np.add.reduceat(differences[order], starts) / sizes
    return differences if len(means) < MIN_REPEATS else means


def family_level(n_comparisons: int, confidence_level: float = 0.95) -> float:
    """Return the confidence level of each of several intervals that hold all at once.

    By Bonferroni's inequality, 1 − (1 − level) / n is enough, however they depend on each other.
    """
    return 1 - (1 - confidence_level) / n_comparisons


def direction(low: float, high: float) -> str:
    """Return the direction that an interval shows: "better", "worse" or "undecided"."""
    if low > 0 or high < 0:
        return "better" if low > 0 else "worse"
    return "undecided"


def size(low: float, high: float, margin: float = 1.0) -> str:
    """Return whether an interval shows a difference of "less" or "more" than a margin.

    It is "undecided" if the interval holds the margin, on either side of zero.
    """
    if -margin < low and high < margin:
        return "less"
    return "more" if low > margin or high < -margin else "undecided"


def simulate_reruns(
    values: ArrayLike,
    *,
    confidence_level: float = 0.95,
    n_reruns: int = 10_000,
    random_state: int = 0,
) -> Interval:
    """Simulate the intervals that re-runs with other seeds would give.

    The true mean is as uncertain as that of `values`, and a re-run's mean as uncertain again.
    So each simulated re-run is a sample with replacement from the values (bootstrap), shifted by
    the error of the mean of another such sample. The same `random_state` draws the same numbers
    of values: re-runs of several comparisons can be simulated together.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        Independent differences, see `dataset_values`.
    confidence_level : float
        That of the intervals, see `t_interval`.
    n_reruns : int, default=10_000
    random_state : int, default=0

    Returns
    -------
    Interval
        Of arrays of shape (n_reruns,).

    References
    ----------
    B. Efron and R. J. Tibshirani (1993), An introduction to the bootstrap, chapter 6. A sample
    spreads by a factor of √(1 − 1/n) less than what it is drawn from, which is made up for.
    """
    values = _at_least_two(values)
    n, generator = len(values), np.random.default_rng(random_state)
    errors = (values - values.mean()) * np.sqrt(n / (n - 1))
    samples, others = errors[generator.integers(n, size=(2, n, n_reruns))]
    return t_interval(values.mean() + samples + others.mean(axis=0), confidence_level)


def t_interval(values: ArrayLike, confidence_level: float = 0.95) -> Interval:
    """Estimate a mean from independent values: mean ± t · s / √n, n−1 degrees of freedom.

    Values that are all the same do not show how others would vary: the interval is infinite.
    Only if all are zero, as the differences of estimators that predict alike, it is zero.

    Parameters
    ----------
    values : array-like of shape (n_values,) or (n_values, ...)
        At least two; the mean is taken along the first axis.
    confidence_level : float, default=0.95
    """
    values = _at_least_two(values)
    n = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(n)
    return _interval(values.mean(axis=0), error, n - 1, confidence_level)


def corrected_resampled_t(
    differences: ArrayLike, test_train_ratio: float, confidence_level: float = 0.95
) -> Interval:
    """Estimate a mean difference on new data from the differences of J resamples.

    The variance of the mean is taken as s² · (1/J + n_test/n_train): the second term stands for
    what overlapping training sets have in common. There are J−1 degrees of freedom, but at most
    n_train/n_test, which is the number of folds less one: further repeats are of the same
    samples. (With J−1, 60 repeats of 10 folds reject 6% to 7% of true nulls at a level of 5%,
    and 2% at one of 1%, in simulations.)

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Scores of A minus scores of B on the same split; at least two.
    test_train_ratio, confidence_level
        See `compare`.

    References
    ----------
    C. Nadeau and Y. Bengio (2003), Inference for the generalization error, Machine Learning
    52, 239-281. For repeated cross-validation: R. R. Bouckaert and E. Frank (2004),
    Evaluating the replicability of significance tests for comparing learning algorithms. The
    idea of fewer degrees of freedom is that of R. R. Bouckaert (2003), Choosing between two
    learning algorithms based on calibrated tests, where it stands in place of the correction.
    """
    differences = _at_least_two(differences)
    n = len(differences)
    error = differences.std(ddof=1) * np.sqrt(1 / n + test_train_ratio)
    degrees = min(n - 1, max(1, round(1 / test_train_ratio)))
    return _interval(differences.mean(), error, degrees, confidence_level)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjust p-values for multiple testing with Holm's step-down method.

    The k-th smallest of m p-values is multiplied by m−k+1; then no adjusted value is less
    than that of a smaller p-value, nor more than 1. Takes and returns (n_tests,) values.

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


def prediction_interval(
    values: ArrayLike, confidence_level: float = 0.95
) -> tuple[float, float, float]:
    """Return a mean and the interval that holds a further value: mean ± t · s · √(1 + 1/n)."""
    mean, _, high, _ = t_interval(values, confidence_level)
    reach = (high - mean) * np.sqrt(len(values) + 1)
    return mean, mean - reach, mean + reach


def proportion_interval(
    n_successes: int, n_trials: int, confidence_level: float = 0.95
) -> tuple[float, float, float]:
    """Return a proportion with its Wilson interval: proportion, low, high."""
    test = stats.binomtest(n_successes, n_trials)
    interval = test.proportion_ci(confidence_level, method="wilson")
    return n_successes / n_trials, interval.low, interval.high


def _at_least_two(values):
    values = np.asarray(values, float)
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two values, got {len(values)}")
    return values


def _interval(mean, error, degrees, confidence_level):
    """Return the t intervals of means with these standard errors."""
    distribution = stats.t(degrees)
    reach = distribution.ppf((1 + confidence_level) / 2) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * distribution.sf(np.abs(mean) / error)
    alike = error <= 1e-12 * np.abs(mean)
    reach = np.where(alike, np.where(mean == 0, 0.0, np.inf), reach)
    found = mean, mean - reach, mean + reach, np.where(alike, 1.0, p)
    return Interval(*(each if np.ndim(each) else float(each) for each in found))
