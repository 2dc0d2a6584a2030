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
QUESTIONS = ("dataset", "new_data")


def judge_claims(
    arms: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, published: pd.DataFrame
) -> pd.DataFrame:
    """Judge the claims about the tutorial's three experiments.

    Parameters
    ----------
    arms : mapping of str to DataFrame
        Per-fold tables of `baseline`, `visible` and `hidden`.
    comparison : DataFrame
        The table ``comparison``.
    published : DataFrame
        The published results, as `experiments.harness.store.read_published` returns them.

    Returns
    -------
    DataFrame
        The table ``claims``, one row per claim.
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
    """Judge the tips by the pairs of settings that test them.

    Parameters
    ----------
    comparison : DataFrame
        The table ``tips-comparison``.

    Returns
    -------
    DataFrame
        The table ``claims``, one row per claim. The estimate is that of the trained pair with
        the largest difference in the claimed direction; for a claim that something has no
        effect, of the pair with the largest absolute difference.
    """
    rows = []
    for (tip, claim), pairs in comparison.groupby(["tip", "claim"], sort=False):
        direction = pairs["direction"].iloc[0]
        untrained = pairs["dataset_verdict"] == UNTRAINED
        reference_untrained = 2 * pairs["second_collapsed"] >= pairs["networks"]
        trained = pairs if untrained.all() else pairs[~untrained]
        difference = trained["difference"]
        effect = {"better": difference, "worse": -difference, "neither": difference.abs()}
        rows.append(
            {"claim": claim, "tip": tip, "direction": direction}
            | _estimate(trained.loc[effect[direction].idxmax()])
            | {f"{key}_verdict": _judge_tip(pairs, direction, key) for key in QUESTIONS}
            | {
                "n_pairs": len(pairs),
                "n_better": (pairs["dataset_verdict"] == "better").sum(),
                "n_worse": (pairs["dataset_verdict"] == "worse").sum(),
                "n_untrained": untrained.sum() - reference_untrained.sum(),
                "n_reference_untrained": reference_untrained.sum(),
            }
        )
    return _claims_frame(rows)


def flag_untrained(pairs: pd.DataFrame) -> pd.DataFrame:
    """Replace the verdicts of pairs in which at least half of the networks on a side collapsed.

    Parameters
    ----------
    pairs : DataFrame
        ``dataset_verdict``, ``new_data_verdict``, ``networks``, ``first_collapsed`` and
        ``second_collapsed``, one row per pair.
    """
    most = pairs[["first_collapsed", "second_collapsed"]].max(axis=1)
    failed = 2 * most >= pairs["networks"]
    verdicts = [f"{question}_verdict" for question in QUESTIONS]
    return pairs.assign(**{name: pairs[name].mask(failed, UNTRAINED) for name in verdicts})


def _claims_frame(rows):
    frame = pd.DataFrame(rows).reindex(columns=list(TABLES["claims"].columns))
    counts = ["tip", *(name for name in frame if name.startswith("n_"))]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _estimate(pair):
    """Return the difference of a pair and its intervals, named as in the table of claims."""
    return {
        "estimate": pair["difference"],
        "low": pair["dataset_low"],
        "high": pair["dataset_high"],
        "new_data_low": pair["new_data_low"],
        "new_data_high": pair["new_data_high"],
    }


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
    if not new_low <= level <= new_high:
        new_verdict = "contradicted"
    elif new_low > level - MARGIN and new_high < level + MARGIN:
        new_verdict = "reproduced"
    else:
        new_verdict = UNDECIDED
    return {
        "claim": "baseline_level",
        "estimate": mean,
        "low": low,
        "high": high,
        "single_run_low": run_low,
        "single_run_high": run_high,
        "new_data_low": new_low,
        "new_data_high": new_high,
        "dataset_verdict": "reproduced" if run_low <= level <= run_high else "contradicted",
        "new_data_verdict": new_verdict,
    }


def _judge_drop(comparison, arm, claim):
    """Judge the claim that an arm is worse than the baseline."""
    of_arm = (comparison["first"] == arm) & (comparison["second"] == "baseline")
    (pair,) = comparison[of_arm].to_dict("records")
    verdicts = {"worse": "reproduced", "better": "contradicted"}
    return (
        {"claim": claim, "direction": "worse", "p_holm": pair["dataset_p_holm"]}
        | _estimate(pair)
        | {f"{key}_verdict": verdicts.get(pair[f"{key}_verdict"], UNDECIDED) for key in QUESTIONS}
    )


def _judge_remedies(comparison):
    """Judge the claim that some remedy makes up for the hidden arm's loss."""
    pairs = comparison[comparison["family"] == "remedies"]
    against_hidden = comparison[comparison["family"] == "remedies on hidden"]
    best = pairs.loc[pairs["difference"].idxmax()]

    def verdict(question):
        worse = pairs[f"{question}_verdict"] == "worse"
        if (~worse & (pairs[f"{question}_family_low"] > -MARGIN)).any():
            return "reproduced"
        return "contradicted" if worse.all() else UNDECIDED

    return (
        {"claim": "remedies", "remedy": best["first"]}
        | _estimate(best)
        | {f"{question}_verdict": verdict(question) for question in QUESTIONS}
        | {
            "n_pairs": len(pairs),
            "n_better": (pairs["dataset_verdict"] == "better").sum(),
            "n_worse": (pairs["dataset_verdict"] == "worse").sum(),
            "n_better_than_hidden": (against_hidden["dataset_verdict"] == "better").sum(),
        }
    )


def _judge_single_runs(arms):
    """Judge the claim that a single run may rank the three arms wrongly."""
    names = ["baseline", "visible", "hidden"]
    runs = pd.DataFrame({name: arms[name].groupby("repeat")["accuracy"].mean() for name in names})
    orders = [_order(run) for _, run in runs.round(12).iterrows()]
    commonest = max((orders.count(order) for order in orders if order), default=0)
    misordered = len(orders) - commonest
    share, low, high = proportion_interval(misordered, len(orders))
    verdict = (
        "reproduced" if low > MISORDERED else "contradicted" if high < MISORDERED else UNDECIDED
    )
    return {
        "claim": "single_runs",
        "estimate": 100 * share,
        "low": 100 * low,
        "high": 100 * high,
        "dataset_verdict": verdict,
        "new_data_verdict": "not asked",
        "n_runs": len(orders),
        "n_reordered": sum(order != _order(runs.mean()) for order in orders),
        "n_misordered": misordered,
    }


def _order(accuracies):
    """Return the arms from worst to best; None on ties, which show no order."""
    return None if accuracies.duplicated().any() else accuracies.sort_values().index.tolist()


def _judge_tip(pairs, direction, question):
    verdicts = pairs[f"{question}_verdict"]
    if (verdicts == UNTRAINED).all():
        return UNTRAINED
    trained = pairs[verdicts != UNTRAINED]
    better, worse = ((verdicts == verdict).sum() for verdict in ("better", "worse"))
    if direction == "neither":
        low, high = trained[f"{question}_family_low"], trained[f"{question}_family_high"]
        within = ((low > -MARGIN) & (high < MARGIN)).all()
        agree, against = (len(trained), 0) if within else (0, better + worse)
    else:
        agree, against = (better, worse) if direction == "better" else (worse, better)
    if agree:
        return "in part" if against else "reproduced"
    return "contradicted" if against and 2 * against >= len(trained) else UNDECIDED
