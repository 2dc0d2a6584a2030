"""The claims are judged by their rules."""

import numpy as np
import pandas as pd
import pytest

from experiments.harness import store
from experiments.harness.schema import TABLES
from experiments.reporting.claims import flag_collapsed, judge_claims, judge_tips


def make_arms(**runs):
    """Arms whose single runs have the given accuracies, 10 folds each, without spread."""
    return {
        name: pd.DataFrame(
            {
                "repeat": np.repeat(np.arange(len(values)), 10),
                "accuracy": np.repeat(values, 10) + np.tile([0.02, -0.02], 5 * len(values)),
            }
        ).assign(n_train=187, n_test=21)
        for name, values in runs.items()
    }


def make_pairs(verdicts, **columns):
    intervals = {"dataset_low": -2.0, "dataset_high": 0.0, "new_data_low": -5.0}
    pairs = pd.DataFrame({"dataset_verdict": verdicts}).assign(**intervals, new_data_high=5.0)
    return pairs.assign(new_data_verdict="too close to call", **columns)


def compare_arms(verdicts, lows=(0, 0), names=("visible", "hidden")):
    return make_pairs(
        verdicts,
        family=["arms"] * 2 + ["remedies"] * (len(names) - 2),
        first=names,
        second="baseline",
        difference=[-1.0 if verdict == "worse" else 1.0 for verdict in verdicts],
        dataset_p_holm=0.5,
        dataset_family_low=lows,
        new_data_family_low=-7.0,
    )


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("worse", "better"), ["reproduced", "contradicted"]),
        (("too close to call", "worse"), ["too close to call", "reproduced"]),
    ],
)
def test_claims_are_judged_by_their_rules(verdicts, expected):
    arms = make_arms(baseline=[0.85, 0.87] * 15, visible=[0.84] * 30, hidden=[0.83, 0.86] * 15)
    pairs = compare_arms(verdicts)
    claims = judge_claims(arms, pairs, store.read_published())
    assert list(claims) == list(TABLES["claims"].columns)
    assert claims["dataset_verdict"].tolist() == ["reproduced", *expected, "reproduced"]
    assert claims["new_data_verdict"].tolist()[1:3] == ["too close to call"] * 2
    assert claims["estimate"].iloc[-1] == 50  # every other run ranks hidden above visible
    low = make_arms(baseline=[0.80, 0.82] * 15, visible=[0.7] * 30, hidden=[0.6] * 30)
    claims = judge_claims(low, pairs, store.read_published())
    assert claims["dataset_verdict"].iloc[0] == "contradicted"
    assert claims["new_data_verdict"].iloc[0] == "contradicted"
    assert claims["dataset_verdict"].iloc[-1] == "too close to call"  # 0 of 30: up to 11%


def test_tied_arms_show_no_ranking():
    arms = make_arms(**{name: [0.85, 0.87] * 15 for name in ("baseline", "visible", "hidden")})
    pairs = compare_arms(["too close to call"] * 2)
    last = judge_claims(arms, pairs, store.read_published()).iloc[-1]
    assert last["estimate"] == 100
    assert last["n_misordered"] == 30


@pytest.mark.parametrize(
    ("lows", "verdicts", "expected"),
    [
        ([-3, -0.5], ["worse", "too close to call"], "reproduced"),
        ([-3, -0.5], ["too close to call", "worse"], "too close to call"),
        ([-3, -0.5], ["worse", "worse"], "contradicted"),
        ([-3, -2], ["worse", "too close to call"], "too close to call"),
    ],
)
def test_remedies_are_judged_by_their_rule(lows, verdicts, expected):
    arms = make_arms(**{name: [0.8, 0.9] for name in ("baseline", "visible", "hidden")})
    names = ["visible", "hidden", "hidden, a", "hidden, b"]
    pairs = compare_arms(["worse"] * 2 + verdicts, [0, 0, *lows], names)
    remedies = judge_claims(arms, pairs, store.read_published()).iloc[3]
    assert remedies["dataset_verdict"] == expected
    assert remedies["new_data_verdict"] == "too close to call"
    assert remedies["n_worse"] == verdicts.count("worse")


@pytest.mark.parametrize(
    ("direction", "verdicts", "expected"),
    [
        ("better", ["better", "too close to call"], "reproduced"),
        ("better", ["worse", "too close to call"], "contradicted"),
        ("better", ["worse", "too close to call", "too close to call"], "too close to call"),
        ("better", ["better", "worse"], "in part"),
        ("better", ["better", "did not train", "too close to call"], "reproduced"),
        ("better", ["better", "did not train", "did not train"], "reproduced"),
        ("better", ["did not train"] * 2, "did not train"),
        ("worse", ["worse", "worse"], "reproduced"),
        ("worse", ["better", "too close to call"], "contradicted"),
        ("better", ["too close to call"] * 2, "too close to call"),
        ("neither", ["too close to call"] * 2, "reproduced"),
        ("neither", ["too close to call", "worse"], "reproduced"),
        ("neither", ["too close to call", "worse", "too wide"], "too close to call"),
        ("neither", ["worse", "worse", "too wide"], "contradicted"),
    ],
)
def test_tips_are_judged_by_their_rule(direction, verdicts, expected):
    untrained = verdicts.count("did not train")
    pairs = make_pairs(
        verdicts,
        **{"tip": 1, "claim": "c", "direction": direction, "networks": 4},
        second_collapsed=[4 if verdict == "did not train" else 0 for verdict in verdicts],
        difference=[0.1, -0.2, 0.0][: len(verdicts)],
        dataset_family_low=[-1.5 if verdict == "too wide" else -0.8 for verdict in verdicts],
        **{"dataset_family_high": 0.8, "new_data_family_low": -6.0, "new_data_family_high": 6.0},
    )
    (claim,) = judge_tips(pairs).to_dict("records")
    assert claim["dataset_verdict"] == expected
    assert claim["new_data_verdict"] == "too close to call"
    assert (claim["n_untrained"], claim["n_reference_untrained"]) == (0, untrained)
    trained = pairs[pairs["dataset_verdict"] != "did not train"]["difference"]
    trained = trained if len(trained) else pairs["difference"]
    best = {"better": trained.max(), "worse": trained.min(), "neither": -0.2}[direction]
    assert claim["estimate"] == best


def test_a_pair_of_which_half_collapsed_has_no_verdict():
    collapsed = {"first_collapsed": [0, 2, 0], "second_collapsed": [1, 0, 3]}
    pairs = make_pairs(["worse"] * 3, networks=4, **collapsed)
    flagged = flag_collapsed(pairs)
    assert flagged["dataset_verdict"].tolist() == ["worse", "did not train", "did not train"]
    assert flagged["new_data_verdict"].tolist()[1:] == ["did not train"] * 2
