"""The claims are judged by their rules."""

import numpy as np
import pandas as pd
import pytest

from experiments.harness import store
from experiments.harness.paired import compare_pairs
from experiments.harness.schema import TABLES
from experiments.reporting.claims import judge_advice, judge_claims, judge_remedy, judge_tips

UNDECIDED = "undecided"


def make_pairs(rows):
    usual = {"dataset_size": UNDECIDED, "new_data_direction": UNDECIDED, "new_data_size": UNDECIDED}
    usual |= {"second": "baseline"}
    usual |= {"dataset_low": -2.0, "dataset_high": 0.0, "new_data_low": -5.0, "new_data_high": 5.0}
    return pd.DataFrame([usual | row for row in rows])


def make_folds(accuracies):
    """Return a per-fold table of single runs with these accuracies."""
    folds = pd.DataFrame({"repeat": np.repeat(np.arange(len(accuracies)), 10)})
    folds["fold"] = np.tile(np.arange(10), len(accuracies))
    spread = np.tile([0.02, -0.02], 5 * len(accuracies))
    folds["accuracy"] = np.repeat(accuracies, 10) + spread
    return folds.assign(n_train=187, n_test=21, seed=1)


def judge(runs, directions, lows=()):
    """Judge arms with the given accuracies of single runs, in pairs with the given verdicts."""
    names = "baseline", "visible", "hidden"
    tables = {name: make_folds(each) for name, each in zip(names, runs, strict=True)}
    rows = [
        {"family": "arms", "first": name, "dataset_direction": found, "difference": -1.0}
        for name, found in zip(("visible", "hidden"), directions, strict=True)
    ]
    for name, (low, high) in zip("abcd", lows, strict=False):
        ends = {"dataset_low": low, "dataset_high": high, "difference": (low + high) / 2}
        rows.append({"family": "remedies", "first": name, "dataset_direction": "worse"} | ends)
        rows.append(rows[-1] | {"family": "remedies on hidden", "second": "hidden"})
        tables[name] = tables["hidden"]
    claims = judge_claims(tables, make_pairs(rows), store.read_published())
    assert list(claims) == list(TABLES["claims"].columns)
    return claims


HIGH, LOW, WIDE = [0.855, 0.865], [0.80, 0.82], [0.82, 0.88]
MIXED = [[0.84] * 2, [0.83, 0.86]]  # every other run ranks hidden above visible


@pytest.mark.parametrize(
    ("runs", "directions", "expected", "misordered"),
    [
        ([HIGH, *MIXED], ["worse", "better"], ["reproduced", "reproduced", "contradicted"], 15),
        ([LOW, *MIXED], [UNDECIDED, "worse"], ["contradicted", UNDECIDED, "reproduced"], 15),
        ([WIDE, [0.7] * 2, [0.6] * 2], [UNDECIDED] * 2, [UNDECIDED] * 3, 0),
        ([HIGH, HIGH, HIGH], [UNDECIDED] * 2, ["reproduced", *[UNDECIDED] * 2], 30),  # ties
    ],
)
def test_results_are_judged_by_their_rules(runs, directions, expected, misordered):
    claims = judge([values * 15 for values in runs], directions)
    *results, single = claims["verdict"]
    assert results == expected
    assert single == ("holds" if misordered else UNDECIDED)  # 0 of 30: up to 11%
    assert claims["kind"].tolist() == ["result"] * 3 + ["advice"]
    assert claims["new_data_verdict"].tolist()[1:3] == [UNDECIDED] * 2
    assert claims["n_misordered"].iloc[-1] == misordered
    assert claims["estimate"].iloc[-1] == 100 * misordered / 30
    level = claims.iloc[0]
    assert level["single_run_low"] < level["low"] < level["high"] < level["single_run_high"]
    assert (level["rerun"] > 0.05) == (runs[0] is WIDE)


@pytest.mark.parametrize(
    ("lows", "mending", "expected"),
    [
        ([(-0.9, -0.2), (-3, -1.5)], 1, "holds"),
        ([(-1.2, -0.2), (-3, -1.5)], 0, UNDECIDED),
        ([(-2, -1.1), (-3, -1.5)], 0, "does not hold"),
        ([(-2, -1.1), (-3, 0.5)], 0, UNDECIDED),  # shown is the one that may mend
    ],
)
def test_remedies_are_judged_whatever_their_precision(lows, mending, expected):
    claim = judge([[0.8, 0.9]] * 3, ["worse", "worse"], lows).iloc[3]
    assert claim["new_data_verdict"] == UNDECIDED
    assert (claim["verdict"], claim["n_mending"], claim["n_remedies"]) == (expected, mending, 2)
    assert claim["remedy"] == ("b" if expected == UNDECIDED and lows[1][1] > 0 else "a")
    verdicts = {"dataset_low": -0.9, "dataset_high": -0.2, "new_data_low": -3, "new_data_high": 2}
    assert judge_remedy(verdicts, "dataset") == "mends"
    assert judge_remedy(verdicts, "new_data") == UNDECIDED


@pytest.mark.parametrize(
    ("claimed", "direction", "size", "expected"),
    [
        ("better", "better", UNDECIDED, "holds"),
        ("better", "better", "more", "holds"),
        ("better", "better", "less", "makes no difference of a point"),
        ("better", UNDECIDED, "less", "makes no difference of a point"),
        ("better", "worse", UNDECIDED, "does not hold"),
        ("better", UNDECIDED, UNDECIDED, UNDECIDED),
        ("worse", "worse", "more", "holds"),
        ("worse", "better", "more", "does not hold"),
        ("neither", UNDECIDED, "less", "holds"),
        ("neither", "worse", "less", "holds"),
        ("neither", "worse", "more", "does not hold"),
        ("neither", "worse", UNDECIDED, UNDECIDED),
    ],
)
@pytest.mark.parametrize("collapsed", [0, 2])
def test_advice_is_judged_by_its_rule(claimed, direction, size, expected, collapsed):
    """Networks that collapsed are an outcome: of advice that is to help the worst one."""
    numbers = {"first_networks": 4, "first_collapsed": collapsed, "second_networks": 4}
    row = {"dataset_direction": direction, "dataset_size": size, "difference": 0.5}
    row |= numbers | {"second_collapsed": 1, "collapsed_p": 0.5}
    pairs = make_pairs([row | {"tip": 1, "claim": "c", "direction": claimed}])
    if collapsed and claimed == "better":
        expected = "did not train"
    pairs = pairs.assign(first=0, second=1)
    settings = {0: make_folds([0.82, 0.84] * 8), 1: make_folds([0.81] * 16)}
    (claim,) = judge_tips(pairs, settings).to_dict("records")
    assert claim["verdict"] == expected == judge_advice(pairs.iloc[0], claimed, "dataset")
    assert 0 <= claim["rerun"] <= 1
    assert (claim["estimate"], claim["second_collapsed"]) == (0.5, 1)


NOISE = np.random.default_rng(0).normal(0, 0.02, (2, 60))
NOISE = (NOISE - NOISE.mean(axis=1, keepdims=True)) / NOISE.std(axis=1, keepdims=True, ddof=1)
ERROR = 0.25  # of the mean of 60 differences, in points


def rerun_share(claimed, difference):
    """Return the share of re-runs that give another verdict on advice with this difference."""
    runs = 0.8 + (difference + ERROR * np.sqrt(60) * NOISE[0]) / 100
    settings = {0: make_folds(runs), 1: make_folds([0.8] * 60)}
    pairs = compare_pairs(settings, [(0, 1)])
    (claim,) = judge_tips(pairs.assign(tip=1, claim="c", direction=claimed), settings)["rerun"]
    return claim, pairs.iloc[0]


def test_a_rerun_of_advice_is_judged_by_its_rule():
    share, pair = rerun_share("better", 0.45)  # less than a point, and nearly better
    assert pair["dataset_size"] == "less"
    assert pair["rerun_direction"] > 0.3
    assert share == pytest.approx(pair["rerun_size"])
    share, pair = rerun_share("better", 1.4)  # better, and nearly more than a point
    assert (pair["dataset_direction"], pair["dataset_size"]) == ("better", "undecided")
    assert pair["rerun_size"] > 0.3
    assert share == pytest.approx(pair["rerun_direction"], abs=0.005)
    assert share < 0.01
    share, pair = rerun_share("neither", 0.9)
    assert share == pytest.approx(pair["rerun_size"])


def test_reruns_of_the_remedies_are_judged_together():
    """The advice holds if either mends: two chances, which are one if both are the same."""
    baseline = make_folds([0.8] * 60)
    shares = {}
    for name, noise in {"same": NOISE[[0, 0]], "others": NOISE}.items():
        runs = 0.8 + (-0.35 + ERROR * np.sqrt(60) * noise) / 100
        remedies = {"a": make_folds(runs[0]), "b": make_folds(runs[1])}
        tables = dict.fromkeys(("baseline", "visible", "hidden"), baseline) | remedies
        families = {
            "arms": [("visible", "baseline"), ("hidden", "baseline")],
            "remedies": [("a", "baseline"), ("b", "baseline")],
            "remedies on hidden": [("a", "hidden"), ("b", "hidden")],
        }
        comparison = pd.concat(
            compare_pairs(tables, pairs).assign(family=family) for family, pairs in families.items()
        )
        claims = judge_claims(tables, comparison, store.read_published()).set_index("claim")
        assert claims.loc["remedies", "verdict"] == "holds"
        shares[name] = claims.loc["remedies", "rerun"]
    assert shares["same"] > 0.3
    assert shares["others"] == pytest.approx(shares["same"] ** 2, abs=0.05)
