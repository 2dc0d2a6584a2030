"""Intervals, p-values and verdicts of the committed tables again, from the scores, by SciPy."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

ENDS = ["low", "high"]


@pytest.fixture(scope="module")
def read(published):
    return lambda name: pd.read_csv(published / f"{name}.csv")


def by_fold(scores):
    """Return accuracies in percent, a row per repeat and a column per fold; seeds averaged."""
    return scores.pivot_table("accuracy", "repeat", "fold", "mean") * 100


def interval(values, variance_factor, degrees, level):
    """Return ends and p-value of a mean whose variance is that of the values times a factor."""
    values = np.ravel(values)
    error = np.sqrt(values.var(ddof=1) * variance_factor)
    reach = stats.t.ppf((1 + level) / 2, degrees) * error
    p = 2 * stats.t.sf(abs(values.mean()) / error, degrees)
    return values.mean() - reach, values.mean() + reach, p


def on_this_dataset(folds, level):
    return interval(folds.mean(axis=1), 1 / len(folds), len(folds) - 1, level)


def on_new_data(folds, sizes, level):
    ratio = (sizes["n_test"] / sizes["n_train"]).groupby([sizes["repeat"], sizes["fold"]]).first()
    return interval(folds, 1 / folds.size + ratio.mean(), folds.shape[1] - 1, level)


def verdicts(low, high):
    direction = "better" if low > 0 else "worse" if high < 0 else "undecided"
    nearest = 0 if low <= 0 <= high else min(abs(low), abs(high))
    furthest = max(abs(low), abs(high))
    return direction, "less" if furthest < 1 else "more" if nearest > 1 else "undecided"


def check_pair(row, first, second, n_pairs):
    """Check a row of a comparison against the scores of its two settings."""
    level = 1 - 0.05 / n_pairs
    folds = by_fold(first) - by_fold(second)
    assert row["difference"] == pytest.approx(folds.to_numpy().mean())
    found = {
        "dataset": on_this_dataset(folds, level),
        "new_data": on_new_data(folds, first, level),
    }
    for question, (low, high, p) in found.items():
        assert row[f"{question}_low"] == pytest.approx(low)
        assert row[f"{question}_high"] == pytest.approx(high)
        assert row[f"{question}_p"] == pytest.approx(min(1, n_pairs * p), abs=1e-12)
        given = row[f"{question}_direction"], row[f"{question}_size"]
        assert given == verdicts(low, high)
    if "collapsed" in second:
        lost = [int(table["collapsed"].sum()) for table in (first, second)]
        assert [row["first_collapsed"], row["second_collapsed"]] == lost
        counts = [[n, len(table) - n] for n, table in zip(lost, (first, second), strict=True)]
        p = min(1, n_pairs * stats.fisher_exact(counts)[1])
        assert row["collapsed_p"] == pytest.approx(p)
    check_reruns(row, folds, level)


def check_reruns(row, folds, level):
    """Check the shares of re-runs against a normal prediction with twice the variance."""
    means = folds.mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(len(means))
    reach = stats.t.ppf((1 + level) / 2, len(means) - 1) * error
    rerun = stats.norm(means.mean(), np.sqrt(2) * error)
    shares = {
        "better": rerun.sf(reach),
        "worse": rerun.cdf(-reach),
        "less": max(0, rerun.cdf(1 - reach) - rerun.cdf(reach - 1)),
        "more": rerun.sf(1 + reach) + rerun.cdf(-1 - reach),
    }
    shares["undecided"] = 1 - shares["better"] - shares["worse"]
    expected = 1 - shares[row["dataset_direction"]]
    assert row["rerun_direction"] == pytest.approx(expected, abs=0.04)
    shares["undecided"] = 1 - shares["less"] - shares["more"]
    assert row["rerun_size"] == pytest.approx(1 - shares[row["dataset_size"]], abs=0.04)


def test_the_comparison_follows_from_the_scores(read):
    scores = {name: read(name) for name in ("baseline", "visible", "hidden", "control", "stopping")}
    scores["early stopping"] = scores.pop("stopping")
    scores |= dict(list(read("context").groupby("experiment")))
    scores |= dict(list(read("remedies").groupby("remedy")))
    comparison = read("comparison")
    for _, family in comparison.groupby("family"):
        for row in family.to_dict("records"):
            check_pair(row, scores[row["first"]], scores[row["second"]], len(family))
    assert comparison.groupby("family").size().to_dict() == {
        "arms": 5,
        "context": 4,
        "remedies": 2,
        "remedies on hidden": 2,
        "stopping": 1,
    }


def test_the_tips_follow_from_the_scores(read, published):
    scores, tests = dict(list(read("tips-folds").groupby("setting"))), read("tips-comparison")
    for row in tests.to_dict("records"):
        check_pair(row, scores[row["first"]], scores[row["second"]], len(tests))
    settings = json.loads((published / "tips-folds.json").read_text())["settings"]
    assert len(settings) == len(scores)


def test_the_claims_follow_from_the_tables(read):
    claims = read("claims").set_index("claim")
    pairs = read("comparison").set_index(["first", "second"])
    for claim, arm in (("visible_drop", "visible"), ("hidden_worse", "hidden")):
        found = pairs.loc[(arm, "baseline"), "dataset_direction"]
        expected = {"worse": "reproduced", "better": "contradicted"}.get(found, found)
        assert claims.loc[claim, "verdict"] == expected
    folds = by_fold(read("baseline"))
    low, high, _ = on_this_dataset(folds, 0.95)
    level = claims.loc["baseline_level"]
    assert tuple(level[ENDS]) == pytest.approx((low, high))
    assert level["verdict"] == {"less": "reproduced", "more": "contradicted"}.get(
        verdicts(low - 86, high - 86)[1], "undecided"
    )
    runs = 100 * read("baseline").groupby(["repeat", "seed"])["accuracy"].mean()
    reach = stats.t.ppf(0.975, len(runs) - 1) * runs.std() * np.sqrt(1 + 1 / len(runs))
    ends = runs.mean() - reach, runs.mean() + reach
    assert tuple(level[["single_run_low", "single_run_high"]]) == pytest.approx(ends)
    new_low, new_high, _ = on_new_data(folds, read("baseline"), 0.95)
    assert tuple(level[["new_data_low", "new_data_high"]]) == pytest.approx((new_low, new_high))
    remedies = read("comparison").query("family == 'remedies'").set_index("first")
    mending = remedies["dataset_low"] > -1
    assert claims.loc["remedies", "n_mending"] == mending.sum()
    others = "undecided" if (remedies["dataset_high"] > -1).any() else "does not hold"
    assert claims.loc["remedies", "verdict"] == ("holds" if mending.any() else others)
    shown = remedies.loc[claims.loc["remedies", "remedy"]]
    assert tuple(claims.loc["remedies", ENDS]) == tuple(shown[["dataset_low", "dataset_high"]])
    first = {name: read(name).query("seed == 1") for name in ("baseline", "visible", "hidden")}
    runs = pd.DataFrame({name: by_fold(scores).mean(axis=1) for name, scores in first.items()})
    means = {name: read(name)["accuracy"].mean() for name in runs}
    right = sorted(means, key=means.get)
    ordered = [
        list(run.sort_values().index) == right and run.round(9).is_unique
        for _, run in runs.iterrows()
    ]
    assert claims.loc["single_runs", "n_reordered"] == len(runs) - sum(ordered)
    orders = [
        tuple(run.sort_values().index) for _, run in runs.round(9).iterrows() if run.is_unique
    ]
    wrong = len(runs) - max(map(orders.count, orders))
    single = claims.loc["single_runs"]
    assert single["n_misordered"] == wrong
    ends = stats.binomtest(wrong, len(runs)).proportion_ci(method="wilson")
    assert tuple(single[ENDS]) == pytest.approx((100 * ends.low, 100 * ends.high))
    assert single["verdict"] == ("holds" if ends.low > 0.05 else "undecided")


def test_advice_on_the_tips_follows_from_its_intervals(read):
    claims = read("claims").set_index("claim")
    for row in read("tips-comparison").to_dict("records"):
        direction, size = verdicts(row["dataset_low"], row["dataset_high"])
        lost = row["first_collapsed"] >= row["first_networks"] / 2
        if row["direction"] == "neither":
            expected = {"less": "holds", "more": "does not hold"}.get(size, size)
        elif row["direction"] == "better" and lost:
            expected = "did not train"
        elif size == "less":
            expected = "makes no difference of a point"
        else:
            expected = {row["direction"]: "holds", "undecided": direction}.get(
                direction, "does not hold"
            )
        assert claims.loc[row["claim"], "verdict"] == expected
