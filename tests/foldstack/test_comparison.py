"""The intervals and tests against worked examples, and against a simulation of no difference."""

import numpy as np
import pytest

from experiments.foldstack.comparison import (
    compare,
    corrected_resampled_t,
    direction,
    family_level,
    holm,
    prediction_interval,
    proportion_interval,
    simulate_reruns,
    size,
    t_interval,
)
from experiments.harness.simulation import nearest_centroid_scores


def test_worked_examples():
    """Mean 3, s = sqrt(2.5), t(4, 97.5%) = 2.7764; corrected with a test to train ratio of 1/4."""
    values = [1, 2, 3, 4, 5]
    estimate = t_interval(values)  # standard error sqrt(2.5 / 5), t = 4.2426
    assert estimate.mean == 3
    assert estimate.high - 3 == pytest.approx(2.776445 * 0.7071068, abs=1e-5)
    assert estimate.p == pytest.approx(0.013236, abs=1e-6)
    estimate = corrected_resampled_t(values, 1 / 4)  # sqrt(2.5 (1/5 + 1/4)), t = 2.828427
    assert estimate.high - 3 == pytest.approx(2.776445 * 1.0606602, abs=1e-5)
    assert estimate.p == pytest.approx(0.047421, abs=1e-6)
    estimate = corrected_resampled_t(values * 2, 1 / 4)  # of 10 values, still 4 degrees of freedom
    assert estimate.high - 3 == pytest.approx(
        2.776445 * np.sqrt(20 / 9 * (1 / 10 + 1 / 4)), abs=1e-5
    )
    proportion, low, high = proportion_interval(3, 10)  # Wilson
    assert (proportion, low, high) == pytest.approx((0.3, 0.10779, 0.60322), abs=1e-5)
    # Holm: 0.01 ·4, 0.02 ·3, 0.03 ·2, 0.04 ·1, then each at least the one before.
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, 0.001, 0.5]) == pytest.approx([1, 0.003, 1])


def test_values_without_spread_are_inconclusive_unless_zero():
    assert t_interval([2.0, 2.0]) == (2, -np.inf, np.inf, 1)
    assert t_interval([0.1 + 0.2, 0.3, 0.3])[1:] == (-np.inf, np.inf, 1)  # rounding is no spread
    assert corrected_resampled_t([0.0, 0.0], 0.1) == (0, 0, 0, 1)
    low, high = t_interval([[2.0, 0.0, 1.0], [2.0, 0.0, 2.0]])[1:3]  # of several means at once
    assert low[:2].tolist() == [-np.inf, 0]
    assert high[:2].tolist() == [np.inf, 0]
    assert (low[2], high[2]) == t_interval([1.0, 2.0])[1:3]
    reruns = simulate_reruns([2.0] * 10, n_reruns=3)  # as inconclusive as the values
    assert (np.isinf(reruns.low) & np.isinf(reruns.high)).all()


@pytest.mark.parametrize(
    ("low", "high", "verdicts"),
    [
        (0.1, 0.9, ("better", "less")),
        (-0.9, -0.1, ("worse", "less")),
        (1.1, 2.0, ("better", "more")),
        (-2.0, -1.1, ("worse", "more")),
        (-0.9, 0.9, ("undecided", "less")),
        (0.1, 1.9, ("better", "undecided")),
        (-1.5, 0.5, ("undecided", "undecided")),
        (0.0, 1.0, ("undecided", "undecided")),  # the ends belong to the interval
        (-np.inf, np.inf, ("undecided", "undecided")),
    ],
)
def test_an_interval_gives_a_direction_and_a_size(low, high, verdicts):
    assert (direction(low, high), size(low, high)) == verdicts
    assert size(10 * low, 10 * high, margin=10) == verdicts[1]


def test_intervals_of_a_family_hold_at_once():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2000, 20, 5)) + generator.normal(size=(2000, 20, 1))
    level = family_level(5)
    assert level == pytest.approx(0.99)
    wrong = [any(t_interval(pair, level).p < 0.01 for pair in family.T) for family in values]
    assert 0.02 < np.mean(wrong) < 0.055


def test_a_prediction_interval_holds_a_further_value():
    values = np.random.default_rng(0).normal(size=(3000, 21))
    ends = [prediction_interval(row[:20])[1:] for row in values]
    inside = [low < row[20] < high for row, (low, high) in zip(values, ends, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("mean", "expected"), [(0.0, 0.07), (0.66, 0.5), (2.0, 0.0)])
def test_the_share_of_reruns_is_that_of_a_normal_prediction(mean, expected):
    """The direction of a mean with standard error 0.25 and t(59, 99%) = 2.66 needs 0.665."""
    values = np.random.default_rng(0).normal(size=60)
    values = mean + 0.25 * np.sqrt(60) * (values - values.mean()) / values.std(ddof=1)
    found = simulate_reruns(values, confidence_level=0.99)
    decided = (found.low > 0) | (found.high < 0)
    assert np.mean(decided != (mean == 2.0)) == pytest.approx(expected, abs=0.03)
    again = simulate_reruns(values, confidence_level=0.99)
    assert (found.low == again.low).all()
    assert (found.high == again.high).all()
    assert found.mean.std() == pytest.approx(np.sqrt(2) * 0.25, rel=0.03)
    # The interval of a mean of 2 is 1.34 to 2.66: a re-run's would have to lie 0.34 lower.
    if mean == 2.0:
        assert np.mean(found.low < 1) == pytest.approx(0.17, abs=0.03)


@pytest.mark.parametrize("repeats", [1, 30])
def test_the_corrected_test_rarely_rejects_a_true_null(repeats):
    generator = np.random.default_rng(0)
    corrected = plain = 0
    for _ in range(600):
        first, second, *_ = nearest_centroid_scores(generator, repeats)
        corrected += corrected_resampled_t(first - second, 1 / 9).p < 0.05
        plain += t_interval(first - second).p < 0.05
    assert 3 <= corrected <= 36
    assert plain > (40 if repeats == 1 else 300)


def test_scores_are_compared_in_pairs_over_repeats_or_folds():
    first, second = (
        np.array([[0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.5, 0.9]]).repeat(5, 0).reshape(2, 20)
    )
    repeats = np.repeat(np.arange(10), 2)

    def compared(rows=slice(None), **options):
        options = {"repeats": repeats[rows], "test_train_ratio": 1 / 9, "scale": 100} | options
        return compare(first[rows], second[rows], **options)

    result, folds = compared(), [10, 10, 20, -10]
    assert result.difference == pytest.approx(7.5)
    assert result[1:4] == pytest.approx(t_interval([10, 5] * 5)[1:])
    assert result[4:] == pytest.approx(corrected_resampled_t(folds * 5, 1 / 9)[1:])
    assert compared(np.random.default_rng(0).permutation(20)) == pytest.approx(result)
    few = compared(slice(4))  # under 10 repeats: over folds
    assert few.dataset_low == pytest.approx(t_interval(folds).low)
    assert compared(confidence_level=0.99).dataset_low < result.dataset_low


def test_repeats_sharpen_the_answer_on_this_dataset_only():
    generator = np.random.default_rng(0)
    base = generator.normal(0.8, 0.05, 300)
    options = {"repeats": np.repeat(np.arange(30), 10), "test_train_ratio": 1 / 9}
    a = compare(base + generator.normal(0.01, 0.05, 300), base, **options)
    c = compare(base + generator.normal(-0.3, 0.01, 300), base, **options)
    assert [direction(r.dataset_low, r.dataset_high) for r in (a, c)] == ["better", "worse"]
    assert [direction(r.new_data_low, r.new_data_high) for r in (a, c)] == ["undecided", "worse"]


def test_rounding_is_no_difference():
    """Means of 10 and of 7 equal scores differ in the last digit."""
    first, second = np.full(20, 0.1) * 3, np.full(20, 0.3)
    assert (first != second).all()
    first[0] = second[0]  # so that the differences vary
    options = {"repeats": np.arange(20), "test_train_ratio": 1 / 9, "scale": 100}
    assert compare(first, second, **options) == (0, 0, 0, 1, 0, 0, 1)


def test_scores_that_are_no_pairs_are_refused():
    with pytest.raises(ValueError, match="must be of the same shape"):
        compare([1, 2], [1, 2, 3], repeats=[0, 1], test_train_ratio=1 / 9)
    with pytest.raises(ValueError, match="at least two values, got 1"):
        compare([1], [2], repeats=[0], test_train_ratio=1 / 9)
