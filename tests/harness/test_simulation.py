"""Verdicts on simulated families are right as often as claimed."""

import numpy as np
import pytest

from experiments.foldstack.comparison import direction, simulate_reruns, size, t_interval
from experiments.harness.simulation import expected_widths, simulate_families, simulate_new_data
from tests.harness.conftest import single_run_table


@pytest.fixture(scope="module")
def values():
    """Differences of five correlated pairs in 60 repeats, with standard errors of 0.14 points."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(60, 5)) * 0.8 + generator.normal(size=(60, 1)) * 0.7


def test_false_verdicts_are_as_rare_as_claimed(values):
    rows = {row["difference"]: row for row in simulate_families(values, 10_000, 0)}
    assert sorted(rows) == [0, 0.5, 1, 2]
    for row in rows.values():
        assert row["wrong"] <= 0.06
        assert row["covered"] >= 0.94
    assert rows[0]["decided_size"] > 0.9  # less than a point
    assert rows[2]["decided_direction"] > 0.99
    assert rows[1]["wrong_size"] > 0.01  # at the margin either size is wrong
    assert rows[0.5]["wrong_direction"] < 0.001


def test_the_corrected_test_is_careful():
    family, single = simulate_new_data(300, 0, [(1, 0), (2, 0), (2, 1)], repeats=20)
    assert (family["pairs"], single["pairs"]) == (3, 1)
    for row in (family, single):
        assert row["wrong"] == pytest.approx(1 - row["covered"])
        assert row["decided_direction"] <= row["wrong"] <= 0.06
    assert single["wrong"] > 0


def test_widths_are_those_of_the_components_of_variance():
    """Splits with variance 1 and seeds with variance 4, in 2,000 repeats of 5 seeds."""
    generator = np.random.default_rng(0)
    of_split = generator.normal(size=(2000, 1))
    runs = of_split + 2 * generator.normal(size=(2000, 5))
    first, second = single_run_table(runs / 100), single_run_table(0 * runs)
    (row,) = expected_widths(first, second, [(100, 4)], {"arms": 1})
    assert row["share_of_seeds"] == pytest.approx(0.8, abs=0.03)
    assert row["standard_error"] == pytest.approx(np.sqrt((1 + 4 / 4) / 100), rel=0.05)
    assert row["half_width_arms"] == pytest.approx(1.984 * row["standard_error"], rel=1e-3)
    assert row["decided_arms"] == pytest.approx(1, abs=0.01)


def test_shares_of_reruns_are_right_on_average_over_true_differences():
    generator = np.random.default_rng(0)
    predicted, found = [], []
    for difference in np.linspace(-2, 2, 400):
        pair = generator.normal(difference, 1.2, size=(2, 60))
        ends = [(interval.low, interval.high) for interval in map(t_interval, pair)]
        reruns = simulate_reruns(pair[0], n_reruns=500)
        reruns = list(zip(reruns.low, reruns.high, strict=True))
        for verdict in (direction, size):
            predicted.append(np.mean([verdict(*each) != verdict(*ends[0]) for each in reruns]))
            found.append(verdict(*ends[0]) != verdict(*ends[1]))
    for verdict in (slice(0, None, 2), slice(1, None, 2)):
        assert np.mean(predicted[verdict]) == pytest.approx(np.mean(found[verdict]), abs=0.04)
    assert np.mean(found) > 0.1
