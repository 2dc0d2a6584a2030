"""Judge the tutorial's claims: an estimate, its intervals and a verdict by a stated rule.

The rules are worded in ``templates/rules.md.j2``, the claims in ``templates/macros.md.j2``.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import corrected_resampled_t, proportion_interval, t_interval
from experiments.harness.schema import TABLES

UNDECIDED = "too close to call"
UNTRAINED = "did not train"
MARGIN = 1.0  # differences below it do not matter; in points, 2 of 208 rows
MISORDERED = 0.05  # a single run is trustworthy if at most this share of runs is misordered


def judge_claims(
    arms: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, published: pd.DataFrame
) -> pd.DataFrame:
    """Judge the claims about the tutorial's three experiments, one row of ``claims`` for each.

    `arms` holds the per-fold tables, `comparison` is the table of that name, and `published`
    holds the published results, as `experiments.harness.store.read_published` returns them.
    """
    rows = [
        _judge_level(arms["baseline"], published),
        _judge_drop(comparison, "visible", "visible_drop"),
        _judge_drop(comparison, "hidden", "hidden_worse"),
    ]
    if (comparison["family"] == "remedies").any():
        rows.append(_judge_remedies(comparison))
    rows.append(_judge_single_runs(arms))
    return _claims_frame(rows)


def judge_tips(comparison: pd.DataFrame) -> pd.DataFrame:
    """Judge the tips by the table ``tips-comparison``, one row of ``claims`` for each claim.

    The estimate is that of the trained pair with the largest difference in the claimed
    direction; for a claim of no effect, of the pair with the largest absolute difference.
    """
    groups = comparison.groupby(["tip", "claim"], sort=False)
    return _claims_frame([_judge_tip(tip, claim, pairs) for (tip, claim), pairs in groups])


def flag_untrained(pairs: pd.DataFrame) -> pd.DataFrame:
    """Replace the verdicts of pairs in which at least half of the networks on a side collapsed."""
    most = pairs[["first_collapsed", "second_collapsed"]].max(axis=1)
    failed = 2 * most >= pairs["networks"]
    verdicts = ["dataset_verdict", "new_data_verdict"]
    return pairs.assign(**{name: pairs[name].mask(failed, UNTRAINED) for name in verdicts})


def _claims_frame(rows):
    frame = pd.DataFrame(rows).reindex(columns=list(TABLES["claims"].columns))
    counts = ["tip", *(name for name in frame if name.startswith("n_"))]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _verdict(reproduced, contradicted):
    if reproduced:
        return "reproduced"
    return "contradicted" if contradicted else UNDECIDED


def _claim(name, pair, judge, **further):
    """Return a claim's row: the difference of a pair, its intervals, a verdict per question."""
    return {
        "claim": name,
        "estimate": pair["difference"],
        "low": pair["dataset_low"],
        "high": pair["dataset_high"],
        "new_data_low": pair["new_data_low"],
        "new_data_high": pair["new_data_high"],
        "dataset_verdict": judge("dataset"),
        "new_data_verdict": judge("new_data"),
    } | further


def _count(pairs):
    """Return how many pairs there are, and how many are better and worse on this dataset."""
    better, worse = ((pairs["dataset_verdict"] == verdict).sum() for verdict in ("better", "worse"))
    return {"n_pairs": len(pairs), "n_better": better, "n_worse": worse}


def _judge_level(folds, published):
    """Compare a published accuracy of a single run with the runs here, in percent."""
    runs = 100 * folds.groupby("repeat")["accuracy"].mean()
    mean, low, high, _ = t_interval(runs)
    reach = (high - mean) * np.sqrt(len(runs) + 1)  # of the prediction interval of a run
    run_low, run_high = mean - reach, mean + reach
    _, new_low, new_high, _ = corrected_resampled_t(
        100 * folds["accuracy"], np.mean(folds["n_test"] / folds["n_train"])
    )
    figures = published[published["experiment"] == "baseline"].set_index("edition")
    level = 100 * figures.loc["current", "mean_accuracy"]
    in_run, in_new = run_low <= level <= run_high, new_low <= level <= new_high
    close = level - MARGIN < new_low and new_high < level + MARGIN
    return {
        "claim": "baseline_level",
        "estimate": mean,
        "low": low,
        "high": high,
        "single_run_low": run_low,
        "single_run_high": run_high,
        "new_data_low": new_low,
        "new_data_high": new_high,
        "dataset_verdict": _verdict(in_run, not in_run),
        "new_data_verdict": _verdict(in_new and close, not in_new),
    }


def _judge_drop(comparison, arm, claim):
    """Judge the claim that an arm is worse than the baseline."""
    of_arm = (comparison["first"] == arm) & (comparison["second"] == "baseline")
    (pair,) = comparison[of_arm].to_dict("records")

    def judge(question):
        verdict = pair[f"{question}_verdict"]
        return _verdict(verdict == "worse", verdict == "better")

    return _claim(claim, pair, judge, direction="worse", p_holm=pair["dataset_p_holm"])


def _judge_remedies(comparison):
    """Judge the claim that some remedy makes up for the hidden arm's loss."""
    pairs = comparison[comparison["family"] == "remedies"]
    against_hidden = comparison[comparison["family"] == "remedies on hidden"]
    best = pairs.loc[pairs["difference"].idxmax()]
    counts = _count(pairs) | {"n_better_than_hidden": _count(against_hidden)["n_better"]}

    def judge(question):
        worse = pairs[f"{question}_verdict"] == "worse"
        made_up = ~worse & (pairs[f"{question}_family_low"] > -MARGIN)
        return _verdict(made_up.any(), worse.all())

    return _claim("remedies", best, judge, remedy=best["first"], **counts)


def _judge_single_runs(arms):
    """Judge the claim that a single run may rank the three arms wrongly."""
    names = ["baseline", "visible", "hidden"]
    runs = pd.DataFrame({name: arms[name].groupby("repeat")["accuracy"].mean() for name in names})
    orders = [_order(run) for _, run in runs.round(12).iterrows()]
    commonest = max((orders.count(order) for order in orders if order), default=0)
    misordered = len(orders) - commonest
    share, low, high = proportion_interval(misordered, len(orders))
    return {
        "claim": "single_runs",
        "estimate": 100 * share,
        "low": 100 * low,
        "high": 100 * high,
        "dataset_verdict": _verdict(low > MISORDERED, high < MISORDERED),
        "new_data_verdict": "not asked",
        "n_runs": len(orders),
        "n_reordered": sum(order != _order(runs.mean()) for order in orders),
        "n_misordered": misordered,
    }


def _order(accuracies):
    """Return the arms from worst to best; None on ties, which show no order."""
    return None if accuracies.duplicated().any() else accuracies.sort_values().index.tolist()


def _judge_tip(tip, claim, pairs):
    """Judge a claim on a tip, that its settings are better, worse or neither."""
    direction = pairs["direction"].iloc[0]
    untrained = pairs["dataset_verdict"] == UNTRAINED
    reference_untrained = 2 * pairs["second_collapsed"] >= pairs["networks"]
    difference = pairs["difference"] if untrained.all() else pairs["difference"][~untrained]
    effect = {"better": difference, "worse": -difference, "neither": difference.abs()}
    best = pairs.loc[effect[direction].idxmax()]

    def judge(question):
        verdicts = pairs[f"{question}_verdict"]
        trained = pairs[verdicts != UNTRAINED]
        if trained.empty:
            return UNTRAINED
        better, worse = ((verdicts == verdict).sum() for verdict in ("better", "worse"))
        agree, against = (worse, better) if direction == "worse" else (better, worse)
        if direction == "neither":
            low, high = trained[f"{question}_family_low"], trained[f"{question}_family_high"]
            within = ((low > -MARGIN) & (high < MARGIN)).all()
            agree, against = (len(trained), 0) if within else (0, better + worse)
        if agree and against:
            return "in part"
        return _verdict(agree, against and 2 * against >= len(trained))

    return _claim(claim, best, judge, tip=tip, direction=direction, **_count(pairs)) | {
        "n_untrained": untrained.sum() - reference_untrained.sum(),
        "n_reference_untrained": reference_untrained.sum(),
    }
