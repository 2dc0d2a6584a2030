"""The claims are judged by their rules."""

import numpy as np
import pandas as pd
import pytest

from experiments.harness import store
from experiments.harness.schema import TABLES
from experiments.reporting.claims import judge_advice, judge_claims, judge_remedy, judge_tips

UNDECIDED = "undecided"


def make_pairs(rows):
    usual = {"dataset_size": UNDECIDED, "new_data_direction": UNDECIDED, "new_data_size": UNDECIDED}
    usual |= {"rerun_direction": 0.01, "rerun_size": 0.02, "second": "baseline"}
    usual |= {"dataset_low": -2.0, "dataset_high": 0.0, "new_data_low": -5.0, "new_data_high": 5.0}
    return pd.DataFrame([usual | row for row in rows])


def judge(runs, directions, lows=()):
    """Judge arms with the given accuracies of single runs, in pairs with the given verdicts."""
    arms = {}
    for name, accuracies in zip(("baseline", "visible", "hidden"), runs, strict=True):
        folds = pd.DataFrame({"repeat": np.repeat(np.arange(len(accuracies)), 10)})
        folds["fold"] = np.tile(np.arange(10), len(accuracies))
        spread = np.tile([0.02, -0.02], 5 * len(accuracies))
        folds["accuracy"] = np.repeat(accuracies, 10) + spread
        arms[name] = folds.assign(n_train=187, n_test=21, seed=1)
    rows = [
        {"family": "arms", "first": name, "dataset_direction": found, "difference": -1.0}
        for name, found in zip(("visible", "hidden"), directions, strict=True)
    ]
    for name, (low, high) in zip("abcd", lows, strict=False):
        ends = {"dataset_low": low, "dataset_high": high, "difference": (low + high) / 2}
        rows.append({"family": "remedies", "first": name, "dataset_direction": "worse"} | ends)
    claims = judge_claims(arms, make_pairs(rows), store.read_published())
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
    ],
)
def test_remedies_are_judged_whatever_their_precision(lows, mending, expected):
    claim = judge([[0.8, 0.9]] * 3, ["worse", "worse"], lows).iloc[3]
    assert (claim["verdict"], claim["n_mending"], claim["n_remedies"]) == (expected, mending, 2)
    assert claim["remedy"] == "a"
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
    (claim,) = judge_tips(pairs).to_dict("records")
    assert claim["verdict"] == expected == judge_advice(pairs.iloc[0], claimed, "dataset")
    assert claim["rerun"] == 0.02
    assert (claim["estimate"], claim["second_collapsed"]) == (0.5, 1)
