"""The claims are judged by their rules."""

import numpy as np
import pandas as pd
import pytest

from experiments.harness import store
from experiments.harness.schema import TABLES
from experiments.reporting.claims import flag_untrained, judge_claims, judge_tips

UNDECIDED, UNTRAINED = "too close to call", "did not train"


def make_pairs(verdicts, **columns):
    usual = {"dataset_low": -2.0, "dataset_high": 0.0, "new_data_low": -5.0, "new_data_high": 5.0}
    return pd.DataFrame(
        {"dataset_verdict": verdicts, "new_data_verdict": UNDECIDED} | usual | columns
    )


def judge(baseline, visible, hidden, verdicts, lows=()):
    """Judge arms with the given accuracies of single runs; pairs after the second are remedies."""
    arms = {}
    for name, runs in {"baseline": baseline, "visible": visible, "hidden": hidden}.items():
        folds = pd.DataFrame({"repeat": np.repeat(np.arange(len(runs)), 10)})
        spread = np.tile([0.02, -0.02], 5 * len(runs))
        arms[name] = folds.assign(accuracy=np.repeat(runs, 10) + spread, n_train=187, n_test=21)
    pairs = make_pairs(
        verdicts,
        family=["arms"] * 2 + ["remedies"] * len(lows),
        first=["visible", "hidden", "hidden, a", "hidden, b"][: len(verdicts)],
        second="baseline",
        difference=[-1.0 if verdict == "worse" else 1.0 for verdict in verdicts],
        dataset_p_holm=0.5,
        dataset_family_low=[0, 0, *lows],
        new_data_family_low=-7.0,
    )
    claims = judge_claims(arms, pairs, store.read_published())
    assert list(claims) == list(TABLES["claims"].columns)
    return claims


HIGH, LOW = [0.85, 0.87], [0.80, 0.82]


@pytest.mark.parametrize(
    ("runs", "verdicts", "expected", "misordered"),
    [
        # Every other run ranks hidden above visible.
        ([HIGH, [0.84] * 2, [0.83, 0.86]], ["worse", "better"], ["reproduced", "contradicted"], 15),
        ([HIGH, [0.84] * 2, [0.83, 0.86]], [UNDECIDED, "worse"], [UNDECIDED, "reproduced"], 15),
        ([LOW, [0.7] * 2, [0.6] * 2], [UNDECIDED] * 2, [UNDECIDED] * 2, 0),
        ([HIGH, HIGH, HIGH], [UNDECIDED] * 2, [UNDECIDED] * 2, 30),  # ties show no ranking
    ],
)
def test_claims_are_judged_by_their_rules(runs, verdicts, expected, misordered):
    claims = judge(*(values * 15 for values in runs), verdicts)
    level = "contradicted" if runs[0] is LOW else "reproduced"
    ranking = "reproduced" if misordered else UNDECIDED  # 0 of 30: up to 11%
    assert claims["dataset_verdict"].tolist() == [level, *expected, ranking]
    assert (claims["new_data_verdict"].iloc[0] == "contradicted") == (runs[0] is LOW)
    assert claims["new_data_verdict"].tolist()[1:3] == [UNDECIDED] * 2
    assert claims["n_misordered"].iloc[-1] == misordered
    assert claims["estimate"].iloc[-1] == 100 * misordered / 30


@pytest.mark.parametrize(
    ("lows", "verdicts", "expected"),
    [
        ([-3, -0.5], ["worse", UNDECIDED], "reproduced"),
        ([-3, -0.5], [UNDECIDED, "worse"], UNDECIDED),
        ([-3, -0.5], ["worse", "worse"], "contradicted"),
        ([-3, -2], ["worse", UNDECIDED], UNDECIDED),
    ],
)
def test_remedies_are_judged_by_their_rule(lows, verdicts, expected):
    remedies = judge(*[[0.8, 0.9]] * 3, ["worse", "worse", *verdicts], lows).iloc[3]
    assert remedies["dataset_verdict"] == expected
    assert remedies["new_data_verdict"] == UNDECIDED
    assert remedies["n_worse"] == verdicts.count("worse")


@pytest.mark.parametrize(
    ("direction", "verdicts", "expected"),
    [
        ("better", ["better", UNDECIDED], "reproduced"),
        ("better", ["worse", UNDECIDED], "contradicted"),
        ("better", ["worse", UNDECIDED, UNDECIDED], UNDECIDED),
        ("better", ["better", "worse"], "in part"),
        ("better", ["better", UNTRAINED, UNTRAINED], "reproduced"),
        ("better", [UNTRAINED] * 2, UNTRAINED),
        ("better", [UNDECIDED] * 2, UNDECIDED),
        ("worse", ["worse", "worse"], "reproduced"),
        ("worse", ["better", UNDECIDED], "contradicted"),
        ("neither", [UNDECIDED, "worse"], "reproduced"),
        ("neither", [UNDECIDED, "worse", "too wide"], UNDECIDED),
        ("neither", ["worse", "worse", "too wide"], "contradicted"),
    ],
)
def test_tips_are_judged_by_their_rule(direction, verdicts, expected):
    pairs = make_pairs(
        verdicts,
        **{"tip": 1, "claim": "c", "direction": direction, "networks": 4},
        second_collapsed=[4 if verdict == UNTRAINED else 0 for verdict in verdicts],
        difference=[0.1, -0.2, 0.0][: len(verdicts)],
        dataset_family_low=[-1.5 if verdict == "too wide" else -0.8 for verdict in verdicts],
        **{"dataset_family_high": 0.8, "new_data_family_low": -6.0, "new_data_family_high": 6.0},
    )
    (claim,) = judge_tips(pairs).to_dict("records")
    assert claim["dataset_verdict"] == expected
    assert claim["new_data_verdict"] == UNDECIDED
    assert (claim["n_untrained"], claim["n_reference_untrained"]) == (0, verdicts.count(UNTRAINED))
    trained = pairs[pairs["dataset_verdict"] != UNTRAINED]["difference"]
    trained = trained if len(trained) else pairs["difference"]
    best = {"better": trained.max(), "worse": trained.min(), "neither": -0.2}[direction]
    assert claim["estimate"] == best


def test_a_pair_of_which_half_collapsed_has_no_verdict():
    collapsed = {"first_collapsed": [0, 2, 0], "second_collapsed": [1, 0, 3]}
    flagged = flag_untrained(make_pairs(["worse"] * 3, networks=4, **collapsed))
    assert flagged["dataset_verdict"].tolist() == ["worse", UNTRAINED, UNTRAINED]
    assert flagged["new_data_verdict"].tolist() == [UNDECIDED, UNTRAINED, UNTRAINED]
