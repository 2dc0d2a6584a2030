"""The intervals and tests against worked examples, and against a simulation of no difference."""

import numpy as np
import pandas as pd
import pytest
from experiments.foldstack.statistics import (
    corrected_resampled_t,
    holm,
    share_estimate,
    t_estimate,
    verdict,
)

from experiments.foldstack.comparison import check_comparable, compare, compare_pairs
from experiments.harness.errors import InputError


def test_t_estimate_by_hand():
    """Mean 3, s = sqrt(2.5), standard error 0.7071, t(4, 97.5%) = 2.7764."""
    estimate = t_estimate([1, 2, 3, 4, 5])
    assert estimate.mean == 3
    assert estimate.high - 3 == pytest.approx(2.776445 * 0.7071068, abs=1e-5)
    assert estimate.p == pytest.approx(0.013236, abs=1e-6)  # t = 4.2426


def test_corrected_resampled_t_by_hand():
    """The same values as 5 folds, test to train 1/4: standard error sqrt(2.5 (1/5 + 1/4))."""
    estimate = corrected_resampled_t([1, 2, 3, 4, 5], 1 / 4)
    assert estimate.high - 3 == pytest.approx(2.776445 * 1.0606602, abs=1e-5)
    assert estimate.p == pytest.approx(0.047421, abs=1e-6)  # t = 2.828427


def test_values_without_spread_decide_nothing():
    assert t_estimate([2.0, 2.0]) == (2, -np.inf, np.inf, 1)
    assert t_estimate([0.1 + 0.2, 0.3, 0.3])[1:] == (-np.inf, np.inf, 1)  # but for rounding
    assert corrected_resampled_t([0.0, 0.0], 0.1) == (0, 0, 0, 1)


def test_holm_by_hand():
    """0.01 ·4, 0.02 ·3, 0.03 ·2, 0.04 ·1, then each at least the one before."""
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, 0.001, 0.5]) == pytest.approx([1, 0.003, 1])


def test_verdict():
    assert verdict(1, 0.04) == "better"
    assert verdict(-1, 0.04) == "worse"
    assert verdict(5, 0.05) == "too close to call"


def test_share_estimate_is_wilson_s():
    share, low, high = share_estimate(3, 10)
    assert share == 0.3
    assert (low, high) == pytest.approx((0.10779, 0.60322), abs=1e-5)


def nearest_centroid_differences(generator, rows=60, folds=10, repeats=5):
    """Cross-validate two equally good classifiers on one table; differences by fold.

    Either sees five of ten features that all say equally much, and takes the nearer of the
    two class means of its training rows.
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


def test_where_nothing_differs_the_corrected_test_seldom_says_so():
    generator = np.random.default_rng(0)
    corrected = plain = 0
    for _ in range(1000):
        differences = nearest_centroid_differences(generator)
        corrected += corrected_resampled_t(differences, 1 / 9).p < 0.05
        plain += t_estimate(differences).p < 0.05
    assert corrected <= 60
    assert plain >= 300


def arm(accuracies, repeats=2):
    folds = len(accuracies) // repeats
    return pd.DataFrame(
        {
            "repeat": np.repeat(np.arange(1, repeats + 1), folds),
            "fold": np.tile(np.arange(1, folds + 1), repeats),
            "n_train": 90,
            "n_test": 10,
            "accuracy": accuracies,
        }
    )


def test_arms_are_paired_by_repeat_and_fold():
    first = arm([0.5, 0.6, 0.7, 0.8] * 5, repeats=10)
    second = arm([0.4, 0.5, 0.5, 0.9] * 5, repeats=10).sample(frac=1, random_state=0)
    row = compare(first, second)
    these = t_estimate([10, 5] * 5)
    new = corrected_resampled_t([10, 10, 20, -10] * 5, 1 / 9)
    assert row["difference"] == pytest.approx(7.5)
    assert row["these_low"] == pytest.approx(these.low)
    assert (row["new_low"], row["new_high"], row["new_p"]) == pytest.approx(new[1:])
    few = compare(first[:4], second.sort_index()[:4])  # the folds count, of fewer repeats
    assert few["these_low"] == pytest.approx(t_estimate([10, 10, 20, -10]).low)
    assert compare(first, second, level=0.99)["these_low"] < row["these_low"]


def test_each_question_has_its_own_verdict():
    generator = np.random.default_rng(0)
    base = generator.normal(0.8, 0.05, 300)
    arms = {
        "a": arm(base + generator.normal(0.01, 0.05, 300), repeats=30),
        "b": arm(base, repeats=30),
        "c": arm(base + generator.normal(-0.3, 0.01, 300), repeats=30),
    }
    rows = compare_pairs(arms, [("a", "b"), ("c", "b")])
    assert rows["these_verdict"].tolist() == ["better", "worse"]
    assert rows["new_verdict"].tolist() == ["too close to call", "worse"]
    assert (rows["new_p_holm"] >= rows["new_p"]).all()


def record(**changes):
    usual = {"data": {"sha256": "d"}, "repeats": 2, "folds": 10, "splits_sha256": "s"}
    return usual | {"epochs": 300, "engine": "stacked", "versions": {"keras": "3"}} | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"sha256": "other"}}, "a and b differ in the data"),
        ({"repeats": 3}, "a and b differ in the number of repeats"),
        ({"folds": 5}, "a and b differ in the number of folds"),
        ({"splits_sha256": "other"}, "a and b differ in the splits"),
        ({"epochs": 30}, "a and b differ in the number of epochs"),
        ({"engine": "scikit-learn"}, "a and b differ in the engine"),
        ({"versions": {"keras": "4"}}, "a and b differ in the versions of the packages"),
    ],
)
def test_tables_of_different_origin_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        check_comparable({"a": record(), "b": record(**change)})
    check_comparable({"a": record(), "b": record()})


def test_one_repeat_is_too_few():
    with pytest.raises(InputError, match="at least 2 repeats"):
        check_comparable({"a": record(repeats=1), "b": record(repeats=1)})
