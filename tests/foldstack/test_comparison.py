"""The intervals and tests against worked examples, and against a simulation of no difference."""

import numpy as np
import pytest

from experiments.foldstack.comparison import (
    compare,
    corrected_resampled_t,
    holm,
    proportion_interval,
    t_interval,
    verdict,
)


def test_t_interval_worked_example():
    """Mean 3, s = sqrt(2.5), standard error 0.7071, t(4, 97.5%) = 2.7764."""
    estimate = t_interval([1, 2, 3, 4, 5])
    assert estimate.mean == 3
    assert estimate.high - 3 == pytest.approx(2.776445 * 0.7071068, abs=1e-5)
    assert estimate.p == pytest.approx(0.013236, abs=1e-6)  # t = 4.2426


def test_corrected_resampled_t_worked_example():
    """The same values as 5 folds, test to train 1/4: standard error sqrt(2.5 (1/5 + 1/4))."""
    estimate = corrected_resampled_t([1, 2, 3, 4, 5], 1 / 4)
    assert estimate.high - 3 == pytest.approx(2.776445 * 1.0606602, abs=1e-5)
    assert estimate.p == pytest.approx(0.047421, abs=1e-6)  # t = 2.828427


def test_values_without_spread_are_inconclusive():
    assert t_interval([2.0, 2.0]) == (2, -np.inf, np.inf, 1)
    assert t_interval([0.1 + 0.2, 0.3, 0.3])[1:] == (-np.inf, np.inf, 1)  # apart from rounding
    assert corrected_resampled_t([0.0, 0.0], 0.1) == (0, 0, 0, 1)


def test_holm_worked_example():
    """0.01 ·4, 0.02 ·3, 0.03 ·2, 0.04 ·1, then each at least the one before."""
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, 0.001, 0.5]) == pytest.approx([1, 0.003, 1])


def test_verdict():
    assert verdict(1, 0.04) == "better"
    assert verdict(-1, 0.04) == "worse"
    assert verdict(5, 0.05) == "too close to call"


def test_proportion_interval_is_wilson_s_interval():
    proportion, low, high = proportion_interval(3, 10)
    assert proportion == 0.3
    assert (low, high) == pytest.approx((0.10779, 0.60322), abs=1e-5)


def nearest_centroid_differences(generator, rows=60, folds=10, repeats=5):
    """Cross-validate two equally good classifiers on one dataset; differences by fold.

    Each uses five of ten equally informative features, and predicts the class whose mean in
    the training samples is nearer.
    """
    y = np.arange(rows) % 2
    X = generator.normal(size=(rows, 10)) + 0.4 * y[:, np.newaxis]
    size = rows // folds
    differences = []
    for _ in range(repeats):
        fold_of = generator.permutation(rows) // size
        train = fold_of != np.arange(folds)[:, np.newaxis]
        means = [
            (train & (y == c)) @ X / (train & (y == c)).sum(axis=1, keepdims=True) for c in (0, 1)
        ]
        direction, middle = means[1] - means[0], (means[1] + means[0]) / 2
        right = []
        for features in (slice(0, 5), slice(5, 10)):
            scores = ((X - middle[:, np.newaxis]) * direction[:, np.newaxis])[..., features]
            correct = (scores.sum(axis=-1) > 0) == y
            right.append(np.mean(correct, axis=1, where=~train))
        differences.append(right[0] - right[1])
    return np.concatenate(differences)


def test_the_corrected_test_rarely_rejects_a_true_null():
    generator = np.random.default_rng(0)
    corrected = plain = 0
    for _ in range(1000):
        differences = nearest_centroid_differences(generator)
        corrected += corrected_resampled_t(differences, 1 / 9).p < 0.05
        plain += t_interval(differences).p < 0.05
    assert corrected <= 60
    assert plain >= 300


def test_scores_are_compared_in_pairs_over_repeats_or_folds():
    first = np.array([0.5, 0.6, 0.7, 0.8] * 5)
    second = np.array([0.4, 0.5, 0.5, 0.9] * 5)
    repeats = np.repeat(np.arange(10), 2)
    result = compare(first, second, repeats=repeats, test_train_ratio=1 / 9, scale=100)
    assert result.difference == pytest.approx(7.5)
    assert result[1:4] == pytest.approx(t_interval([10, 5] * 5)[1:])
    folds = [10, 10, 20, -10]
    assert result[4:] == pytest.approx(corrected_resampled_t(folds * 5, 1 / 9)[1:])
    order = np.random.default_rng(0).permutation(20)
    shuffled = compare(
        first[order], second[order], repeats=repeats[order], test_train_ratio=1 / 9, scale=100
    )
    assert shuffled == pytest.approx(result)
    few = compare(first[:4], second[:4], repeats=repeats[:4], test_train_ratio=1 / 9, scale=100)
    assert few.dataset_low == pytest.approx(t_interval(folds).low)  # under 10 repeats: over folds
    wide = compare(
        first, second, repeats=repeats, test_train_ratio=1 / 9, scale=100, confidence_level=0.99
    )
    assert wide.dataset_low < result.dataset_low


def test_repeats_sharpen_the_answer_on_this_dataset_only():
    generator = np.random.default_rng(0)
    base = generator.normal(0.8, 0.05, 300)
    options = {"repeats": np.repeat(np.arange(30), 10), "test_train_ratio": 1 / 9}
    a = compare(base + generator.normal(0.01, 0.05, 300), base, **options)
    c = compare(base + generator.normal(-0.3, 0.01, 300), base, **options)
    assert [verdict(r.difference, r.dataset_p) for r in (a, c)] == ["better", "worse"]
    assert [verdict(r.difference, r.new_data_p) for r in (a, c)] == ["too close to call", "worse"]


def test_scores_that_are_no_pairs_are_refused():
    with pytest.raises(ValueError, match="must be of the same shape"):
        compare([1, 2], [1, 2, 3], repeats=[0, 1], test_train_ratio=1 / 9)
    with pytest.raises(ValueError, match="at least two values, got 1"):
        compare([1], [2], repeats=[0], test_train_ratio=1 / 9)
