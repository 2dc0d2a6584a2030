"""Judge the tutorial's claims: an estimate, its intervals and a verdict by a stated rule.

What the tutorial found are *results*: reproduced, contradicted or undecided. What it recommends
is *advice*: it holds, does not hold, makes no difference of a point, ends in networks that did
not train, or is undecided. The rules are worded in ``templates/rules.md.j2``, the claims in
``templates/macros.md.j2``.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import (
    corrected_resampled_t,
    prediction_interval,
    proportion_interval,
    simulate_reruns,
    size,
    t_interval,
)
from experiments.harness.runs import MARGIN, dataset_accuracies, simulate_verdicts, single_runs
from experiments.harness.schema import TABLES

MISORDERED = 0.05  # a single run is trustworthy if at most this share of runs is misordered
RESULTS = {"less": "reproduced", "more": "contradicted"}  # of a level, by its distance
QUESTIONS = ("dataset", "new_data")
COLLAPSED = [f"{side}_{what}" for side in ("first", "second") for what in ("networks", "collapsed")]


def judge_claims(
    tables: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, published: pd.DataFrame
) -> pd.DataFrame:
    """Judge the claims about the tutorial's three experiments, one row of ``claims`` for each.

    `tables` holds the per-fold tables of arms and remedies, `comparison` is the table of that
    name, and `published` holds the published results, as
    `experiments.harness.store.read_published` returns them.
    """
    families = {name: pairs.to_dict("records") for name, pairs in comparison.groupby("family")}
    rows = [
        _judge_level(tables["baseline"], published),
        _judge_drop(families["arms"], tables, "visible", "visible_drop"),
        _judge_drop(families["arms"], tables, "hidden", "hidden_worse"),
    ]
    if "remedies" in families:
        rows.append(_judge_remedies(families, tables))
    rows.append(_judge_single_runs(tables))
    return _claims_frame(rows)


def judge_tips(comparison: pd.DataFrame, settings: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Judge the tips by the table ``tips-comparison``, one row of ``claims`` for each claim.

    `settings` holds the per-fold tables of the settings that it compares.
    """
    pairs = comparison.to_dict("records")
    return _claims_frame([_judge_tip(pair, _simulate(pair, settings, pairs)) for pair in pairs])


def judge_each_remedy(pairs: list[Mapping], tables: Mapping[str, pd.DataFrame]) -> list[dict]:
    """Return each remedy's pair with the baseline, a verdict and its share of other re-runs.

    `pairs` are those of the family, `tables` the per-fold tables of remedies and baseline.
    """
    found = []
    for pair in pairs:
        verdict = judge_remedy(pair, "dataset")
        reruns = _simulate(pair, tables, pairs)
        others = [judge_remedy(rerun, "dataset") != verdict for rerun in reruns]
        found.append(pair | {"verdict": verdict, "rerun": np.mean(others)})
    return found


def judge_advice(pair: Mapping, claimed: str, question: str) -> str:
    """Judge the advice that a pair's first setting is better, worse or (neither) no different."""
    found, apart = pair[f"{question}_direction"], pair[f"{question}_size"]
    if claimed == "neither":
        return {"less": "holds", "more": "does not hold"}.get(apart, apart)
    if claimed == "better" and 2 * pair["first_collapsed"] >= pair["first_networks"]:
        return "did not train"
    if apart == "less":
        return "makes no difference of a point"
    return {claimed: "holds", "undecided": "undecided"}.get(found, "does not hold")


def judge_remedy(pair: Mapping, question: str) -> str:
    """Judge whether a remedy brings the hidden arm to less than a point below the baseline."""
    if pair[f"{question}_low"] > -MARGIN:
        return "mends"
    return "does not mend" if pair[f"{question}_high"] < -MARGIN else "undecided"


def _claims_frame(rows):
    frame = pd.DataFrame(rows).reindex(columns=list(TABLES["claims"].columns))
    counts = ["tip", *COLLAPSED, *(name for name in frame if name.startswith("n_"))]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _simulate(pair, tables, family):
    """Return the intervals and verdicts of re-runs of a pair, which is one of a family."""
    return simulate_verdicts(tables[pair["first"]], tables[pair["second"]], len(family))


def _claim(name, kind, pair, judge, reruns, **further):
    """Return a claim's row: the difference of a pair, its intervals, a verdict per question.

    `judge` gives the verdict on a question from what was found here, or in a simulated re-run.
    """
    verdict = judge("dataset")
    return {
        "claim": name,
        "kind": kind,
        "estimate": pair["difference"],
        "low": pair["dataset_low"],
        "high": pair["dataset_high"],
        "verdict": verdict,
        "rerun": np.mean([judge("dataset", rerun) != verdict for rerun in reruns]),
        "new_data_low": pair["new_data_low"],
        "new_data_high": pair["new_data_high"],
        "new_data_verdict": judge("new_data"),
    } | further


def _judge_level(folds, published):
    """Compare a published accuracy with the mean here, in percent."""
    values = dataset_accuracies(folds)
    mean, low, high, _ = t_interval(values)
    ratio = np.mean(folds["n_test"] / folds["n_train"])
    by_split = 100 * folds.groupby(["repeat", "fold"])["accuracy"].mean()
    _, new_low, new_high, _ = corrected_resampled_t(by_split, ratio)
    _, run_low, run_high = prediction_interval(single_runs(folds))
    figures = published[published["experiment"] == "baseline"].set_index("edition")
    level = 100 * figures.loc["current", "mean_accuracy"]
    close = size(low - level, high - level, MARGIN)
    reruns = simulate_reruns(values - level)[1:3]
    new_close = size(new_low - level, new_high - level, MARGIN)
    return {
        "claim": "baseline_level",
        "kind": "result",
        "estimate": mean,
        "low": low,
        "high": high,
        "verdict": RESULTS.get(close, "undecided"),
        "rerun": np.mean([size(*ends, MARGIN) != close for ends in zip(*reruns, strict=True)]),
        "single_run_low": run_low,
        "single_run_high": run_high,
        "new_data_low": new_low,
        "new_data_high": new_high,
        "new_data_verdict": RESULTS.get(new_close, "undecided"),
    }


def _judge_drop(pairs, tables, arm, claim):
    """Judge the claim that an arm is worse than the baseline."""
    (pair,) = (each for each in pairs if (each["first"], each["second"]) == (arm, "baseline"))

    def judge(question, found=pair):
        results = {"worse": "reproduced", "better": "contradicted"}
        return results.get(found[f"{question}_direction"], "undecided")

    reruns = _simulate(pair, tables, pairs)
    return _claim(claim, "result", pair, judge, reruns, direction="worse")


def _judge_remedies(families, tables):
    """Judge the claim that some remedy makes up for the hidden arm's loss."""
    pairs = families["remedies"]
    # Of those whose verdict is that of the claim, the one with the highest accuracy.
    order = ["does not mend", "undecided", "mends"]
    best = max(pairs, key=lambda p: (order.index(judge_remedy(p, "dataset")), p["difference"]))

    def judge(question, found=pairs):
        verdicts = [judge_remedy(each, question) for each in found]
        if "mends" in verdicts:
            return "holds"
        return "undecided" if "undecided" in verdicts else "does not hold"

    improving = [pair["dataset_direction"] == "better" for pair in families["remedies on hidden"]]
    counts = {
        "n_remedies": len(pairs),
        "n_mending": sum(judge_remedy(pair, "dataset") == "mends" for pair in pairs),
        "n_improving": sum(improving),
        "remedy": best["first"],
    }
    reruns = zip(*(_simulate(pair, tables, pairs) for pair in pairs), strict=True)
    return _claim("remedies", "advice", best, judge, reruns, direction="better", **counts)


def _judge_single_runs(arms):
    """Judge the claim that a single run may rank the three arms wrongly.

    The single runs are those of the first seed of every split. How many are misordered is known
    to be at least so many, so the claim cannot be found wrong.
    """
    names = ["baseline", "visible", "hidden"]
    runs = pd.DataFrame({name: single_runs(arms[name]).xs(1, level="seed") for name in names})
    orders = [_order(run) for _, run in runs.round(12).iterrows()]
    commonest = max((orders.count(order) for order in orders if order), default=0)
    misordered = len(orders) - commonest
    share, low, high = proportion_interval(misordered, len(orders))
    right = _order(pd.Series({name: arms[name]["accuracy"].mean() for name in names}))
    return {
        "claim": "single_runs",
        "kind": "advice",
        "estimate": 100 * share,
        "low": 100 * low,
        "high": 100 * high,
        "verdict": "holds" if low > MISORDERED else "undecided",
        "new_data_verdict": "not asked",
        "n_runs": len(orders),
        "n_reordered": sum(order != right for order in orders),
        "n_misordered": misordered,
    }


def _order(accuracies):
    """Return the arms from worst to best; None on ties, which show no order."""
    return None if accuracies.duplicated().any() else accuracies.sort_values().index.tolist()


def _judge_tip(pair, reruns):
    """Judge a claim on a tip by its pair of settings; as many networks collapse in re-runs."""
    further = {name: pair[name] for name in ("tip", "direction", *COLLAPSED, "collapsed_p")}

    def judge(question, found=pair):
        return judge_advice(pair | found, pair["direction"], question)

    return _claim(pair["claim"], "advice", pair, judge, reruns, **further)
