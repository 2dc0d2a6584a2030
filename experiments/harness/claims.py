"""The tutorial's claims, each with what was found and a verdict by a stated rule."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.harness.statistics import corrected_resampled_t, share_estimate

RULES = """\
A claimed *difference* is *reproduced* where the comparison's verdict (p < 0.05 after Holm's
correction over the family of pairs) has the claimed direction, *contradicted* where it has
the other, else *too close to call*. A published *level* is reproduced if it lies within the
range of our single runs (their central 95%) and, for new rows, within the corrected
interval of the mean. A setting *mends* the hidden arm if it is, by its 95% interval, less
than one point below the baseline; no setting does if all intervals lie below zero. *A single
run is not to be trusted* if, by the 95% interval, more than one run in twenty ranks the
arms differently from the average of all runs.

A *tip* is tried on several settings against one without it, Holm's correction over them
all. It is *reproduced* if at least one does as it says (better; worse, where that is what it
says) and none the opposite, *contradicted* the other way about, *in part* if some do and
some do the opposite. That something *does nothing* is reproduced if every 95% interval
lies within one point of zero."""

MARGIN = 1.0  # points that count as no difference: 2 rows of 208


def settle(
    arms: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, published: pd.DataFrame
) -> pd.DataFrame:
    """Settle the claims of the tutorial's three experiments.

    Parameters
    ----------
    arms : mapping of tables of folds
    comparison : DataFrame
        As written by `make compare`.
    published : DataFrame

    Returns
    -------
    DataFrame
        ``claim, published``; ``found, estimate, low, high, these_verdict`` (points or
        percent) on these rows; ``found_new, new_low, new_high, new_verdict`` for new ones.
    """
    text = published[published["edition"] == "current"].set_index("experiment")["text"]
    rows = [
        _level(arms["baseline"], published, text["baseline"]),
        _difference(comparison, "visible", "Dropout on the visible layer", text["visible"]),
        _difference(comparison, "hidden", "Dropout on the hidden layers", text["hidden"]),
    ]
    if (comparison["family"] == "remedies").any():
        rows.append(_remedies(comparison[comparison["family"] == "remedies"]))
    rows.append(_single_runs({name: arms[name] for name in ("baseline", "visible", "hidden")}))
    return pd.DataFrame(rows)


def settle_tips(comparison: pd.DataFrame) -> pd.DataFrame:
    """Settle the tips from the pairs that test them.

    Parameters
    ----------
    comparison : DataFrame
        As of `compare_pairs`, with ``tip, claim, direction`` (better, worse or neither).

    Returns
    -------
    DataFrame
        Columns as of `settle`; ``estimate`` and its intervals are those of the pair that
        speaks most for the claim.
    """
    rows = []
    for (tip, claim), pairs in comparison.groupby(["tip", "claim"], sort=False):
        direction = pairs["direction"].iloc[0]
        sign = -1 if direction == "worse" else 1
        far = pairs["difference"].abs() if direction == "neither" else sign * pairs["difference"]
        best = pairs.loc[far.idxmax()]
        which = {"better": "best", "worse": "worst", "neither": "largest"}[direction]
        counts = pairs["these_verdict"].value_counts()
        rows.append(
            {
                "claim": f"Tip {tip}: {claim}",
                "published": "advice, not measured",
                "found": f"{counts.get('better', 0)} of {len(pairs)} settings better, "
                f"{counts.get('worse', 0)} worse; the {which} {best['difference']:+.1f} points "
                f"({best['these_low']:+.1f} to {best['these_high']:+.1f})",
                "found_new": f"{best['new_low']:+.1f} to {best['new_high']:+.1f}",
                "estimate": best["difference"],
                "low": best["these_low"], "high": best["these_high"],
                "new_low": best["new_low"], "new_high": best["new_high"],
                "these_verdict": _tip_verdict(pairs, direction, "these"),
                "new_verdict": _tip_verdict(pairs, direction, "new"),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _tip_verdict(pairs, direction, question):
    verdicts = set(pairs[f"{question}_verdict"])
    if direction == "neither":
        if verdicts & {"better", "worse"}:
            return "contradicted"
        within = (pairs[f"{question}_low"] > -MARGIN) & (pairs[f"{question}_high"] < MARGIN)
        return "reproduced" if within.all() else "too close to call"
    against = "worse" if direction == "better" else "better"
    if direction in verdicts:
        return "in part" if against in verdicts else "reproduced"
    return "contradicted" if against in verdicts else "too close to call"


def _level(folds, published, text):
    runs = 100 * folds.groupby("repeat")["accuracy"].mean()
    low, high = np.percentile(runs, [2.5, 97.5])
    new = corrected_resampled_t(
        100 * folds["accuracy"], np.mean(folds["n_test"] / folds["n_train"])
    )
    figures = published[published["experiment"] == "baseline"].set_index("edition")
    claimed = 100 * figures.loc["current", "mean_accuracy"]
    earlier = ", ".join(
        f"{100 * figures.loc[edition, 'mean_accuracy']:.2f}% ({edition})"
        for edition in ("2016", "2017")
    )
    return {
        "claim": "The baseline reaches about 86%",
        "published": f"“{text}”; {earlier}",
        "found": f"{runs.mean():.1f}%; single runs {low:.1f}% to {high:.1f}%",
        "found_new": f"{new.low:.0f}% to {new.high:.0f}%",
        "estimate": runs.mean(), "low": low, "high": high,
        "new_low": new.low, "new_high": new.high,
        "these_verdict": "reproduced" if low <= claimed <= high else "contradicted",
        "new_verdict": "reproduced" if new.low <= claimed <= new.high else "contradicted",
    }  # fmt: skip


def _difference(comparison, arm, what, text):
    (pair,) = comparison[
        (comparison["first"] == arm) & (comparison["second"] == "baseline")
    ].itertuples()
    says = {"worse": "reproduced", "better": "contradicted"}  # either claim is of a drop
    return {
        "claim": f"{what}: {text}",
        "published": f"“{text}”",
        "found": f"{pair.difference:+.1f} points ({pair.these_low:+.1f} to {pair.these_high:+.1f})",
        "found_new": f"{pair.new_low:+.1f} to {pair.new_high:+.1f}",
        "estimate": pair.difference, "low": pair.these_low, "high": pair.these_high,
        "new_low": pair.new_low, "new_high": pair.new_high,
        "these_verdict": says.get(pair.these_verdict, pair.these_verdict),
        "new_verdict": says.get(pair.new_verdict, pair.new_verdict),
    }  # fmt: skip


def _remedies(pairs):
    best = pairs.loc[pairs["difference"].idxmax()]
    setting = best["first"].removeprefix("hidden, ")

    def says(low, high):
        if (pairs[low] > -MARGIN).any():
            return "reproduced"
        return "contradicted" if (pairs[high] < 0).all() else "too close to call"

    return {
        "claim": "More epochs or another learning rate might mend the hidden arm",
        "published": "a suggestion, not measured",
        "found": f"at best ({setting}) {best['difference']:+.1f} points from the baseline "
        f"({best['these_low']:+.1f} to {best['these_high']:+.1f})",
        "found_new": f"{best['new_low']:+.1f} to {best['new_high']:+.1f}",
        "estimate": best["difference"], "low": best["these_low"], "high": best["these_high"],
        "new_low": best["new_low"], "new_high": best["new_high"],
        "these_verdict": says("these_low", "these_high"),
        "new_verdict": says("new_low", "new_high"),
    }  # fmt: skip


def _single_runs(arms):
    runs = pd.DataFrame(
        {name: folds.groupby("repeat")["accuracy"].mean() for name, folds in arms.items()}
    )
    overall = runs.mean().sort_values().index.tolist()
    differs = [
        row.sort_values(kind="stable").index.tolist() != overall for _, row in runs.iterrows()
    ]
    share, low, high = share_estimate(sum(differs), len(differs))
    verdict = "reproduced" if low > 0.05 else "contradicted" if high < 0.05 else "too close to call"
    return {
        "claim": "A single run is not to be trusted",
        "published": "“run it a few times and compare the average”",
        "found": f"{sum(differs)} of {len(differs)} single runs rank baseline, visible and hidden "
        f"differently from the average ({100 * low:.0f}% to {100 * high:.0f}%)",
        "found_new": "",
        "estimate": 100 * share, "low": 100 * low, "high": 100 * high,
        "new_low": np.nan, "new_high": np.nan,
        "these_verdict": verdict, "new_verdict": "not asked",
    }  # fmt: skip
