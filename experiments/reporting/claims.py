"""The tutorial's claims, each with what was found and a verdict by a stated rule."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.foldstack.statistics import corrected_resampled_t, share_estimate, t_estimate

RULES = """\
Intervals are each difference's own, of 95%. Verdicts, and the p beside them, are corrected
for the number of comparisons (Holm), so an interval may leave out zero where the verdict is
*too close to call*.

- A claimed *difference* is *reproduced* where the comparison's verdict (p < 0.05) has the
  claimed direction, *contradicted* where it has the other, else *too close to call*.
- A published *level* is that of a single run. It is reproduced if it lies where 95% of our
  single runs do (mean ± t · s · √(1 + 1/runs), s their standard deviation). For new rows it
  is reproduced if the corrected interval of the mean lies within one point of it,
  contradicted if it leaves it out, else too close to call.
- A remedy *mends* the hidden arm if it is not worse than the baseline and its interval, at
  95% for all remedies together, leaves less than one point of loss; no remedy does if all
  are worse.
- *A single run is not to be trusted* if, by the 95% interval, more than one run in twenty
  must rank the three arms wrongly. Which order is right need not be known for that: the
  runs that do not show the commonest order are the fewest that can be wrong.
- A *tip* is tried on several settings, each against one without it. Where half of the
  networks on either side collapsed, the pair *did not train* and does not count; where no
  pair did, the tip has no other verdict. It is reproduced if at least one pair does as it says
  and none the opposite; contradicted if none does as it says and at least half do the
  opposite; *in part* if some do and some do the opposite. That something *does nothing* is
  reproduced if every interval, at 95% for all together, lies within one point of zero."""

FAILED = "did not train"
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
        rows.append(_remedies(comparison))
    rows.append(_single_runs(arms))
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
        counts = pairs["these_verdict"].value_counts()
        trained = pairs[pairs["these_verdict"] != FAILED]
        trained = trained if len(trained) else pairs
        sign = -1 if direction == "worse" else 1
        differences = trained["difference"]
        far = differences.abs() if direction == "neither" else sign * differences
        best = trained.loc[far.idxmax()]
        which = {"better": "best", "worse": "worst", "neither": "largest"}[direction]
        without = 2 * pairs["second_collapsed"] >= pairs["networks"]
        failed = "".join(
            f", {number} {FAILED}{where}"
            for number, where in (
                (counts.get(FAILED, 0) - without.sum(), ""),
                (without.sum(), " without it"),
            )
            if number
        )
        rows.append(
            {
                "claim": f"Tip {tip}: {claim}",
                "published": "advice, not measured",
                "found": f"{counts.get('better', 0)} of {len(pairs)} settings better, "
                f"{counts.get('worse', 0)} worse{failed}; the {which} "
                f"{best['difference']:+.1f} points "
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


def mark_untrained(pairs: pd.DataFrame) -> pd.DataFrame:
    """Withdraw the verdicts of pairs in which half of the networks on a side collapsed.

    Parameters
    ----------
    pairs : DataFrame
        As of `compare_pairs`, with ``networks, first_collapsed, second_collapsed``.
    """
    most = pairs[["first_collapsed", "second_collapsed"]].max(axis=1)
    failed = 2 * most >= pairs["networks"]
    verdicts = ["these_verdict", "new_verdict"]
    return pairs.assign(**{name: pairs[name].mask(failed, FAILED) for name in verdicts})


def _tip_verdict(pairs, direction, question):
    verdicts = pairs[f"{question}_verdict"]
    if (verdicts == FAILED).all():
        return FAILED
    trained = pairs[verdicts != FAILED]
    better, worse = ((verdicts == verdict).sum() for verdict in ("better", "worse"))
    if direction == "neither":
        low, high = trained[f"{question}_family_low"], trained[f"{question}_family_high"]
        within = ((low > -MARGIN) & (high < MARGIN)).all()
        agree, against = (len(trained), 0) if within else (0, better + worse)
    else:
        agree, against = (better, worse) if direction == "better" else (worse, better)
    if agree:
        return "in part" if against else "reproduced"
    return "contradicted" if against and 2 * against >= len(trained) else "too close to call"


def _level(folds, published, text):
    runs = 100 * folds.groupby("repeat")["accuracy"].mean()
    mean = t_estimate(runs)
    reach = (mean.high - mean.mean) * np.sqrt(len(runs) + 1)  # of one run more
    low, high = mean.mean - reach, mean.mean + reach
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
        "found": f"{mean.mean:.1f}% ({mean.low:.1f}% to {mean.high:.1f}%); "
        f"a single run {low:.1f}% to {high:.1f}%",
        "found_new": f"{new.low:.0f}% to {new.high:.0f}%",
        "estimate": mean.mean, "low": mean.low, "high": mean.high,
        "new_low": new.low, "new_high": new.high,
        "these_verdict": "reproduced" if low <= claimed <= high else "contradicted",
        "new_verdict": "contradicted" if not new.low <= claimed <= new.high
        else "reproduced" if new.low > claimed - MARGIN and new.high < claimed + MARGIN
        else "too close to call",
    }  # fmt: skip


def _difference(comparison, arm, what, text):
    (pair,) = comparison[
        (comparison["first"] == arm) & (comparison["second"] == "baseline")
    ].itertuples()
    says = {"worse": "reproduced", "better": "contradicted"}  # either claim is of a drop
    return {
        "claim": f"{what}: {text}",
        "published": f"“{text}”",
        "found": f"{pair.difference:+.1f} points ({pair.these_low:+.1f} to "
        f"{pair.these_high:+.1f}; p {say_p(pair.these_p_holm)})",
        "found_new": f"{pair.new_low:+.1f} to {pair.new_high:+.1f}",
        "estimate": pair.difference, "low": pair.these_low, "high": pair.these_high,
        "new_low": pair.new_low, "new_high": pair.new_high,
        "these_verdict": says.get(pair.these_verdict, pair.these_verdict),
        "new_verdict": says.get(pair.new_verdict, pair.new_verdict),
    }  # fmt: skip


def say_p(value: float) -> str:
    """Write a p-value with three decimals."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _remedies(comparison):
    pairs = comparison[comparison["family"] == "remedies"]
    on_hidden = comparison[comparison["family"] == "remedies on hidden"]
    best = pairs.loc[pairs["difference"].idxmax()]
    setting = best["first"].removeprefix("hidden, ")

    def says(question):
        worse = pairs[f"{question}_verdict"] == "worse"
        if (~worse & (pairs[f"{question}_family_low"] > -MARGIN)).any():
            return "reproduced"
        return "contradicted" if worse.all() else "too close to call"

    return {
        "claim": "More epochs or another learning rate might mend the hidden arm",
        "published": "a suggestion, not measured",
        "found": f"at best ({setting}) {best['difference']:+.1f} points from the baseline "
        f"({best['these_low']:+.1f} to {best['these_high']:+.1f}); "
        f"{(pairs['these_verdict'] == 'worse').sum()} of {len(pairs)} remedies worse than it, "
        f"{(on_hidden['these_verdict'] == 'better').sum()} better than the hidden arm",
        "found_new": f"{best['new_low']:+.1f} to {best['new_high']:+.1f}",
        "estimate": best["difference"], "low": best["these_low"], "high": best["these_high"],
        "new_low": best["new_low"], "new_high": best["new_high"],
        "these_verdict": says("these"),
        "new_verdict": says("new"),
    }  # fmt: skip


def _single_runs(arms):
    names = ["baseline", "visible", "hidden"]
    runs = pd.DataFrame({name: arms[name].groupby("repeat")["accuracy"].mean() for name in names})
    orders = [_order(row) for _, row in runs.round(12).iterrows()]
    differs = sum(order != _order(runs.mean()) for order in orders)
    commonest = max((orders.count(order) for order in orders if order), default=0)
    wrong = len(orders) - commonest
    share, low, high = share_estimate(wrong, len(orders))
    verdict = "reproduced" if low > 0.05 else "contradicted" if high < 0.05 else "too close to call"
    return {
        "claim": "A single run is not to be trusted",
        "published": "“run it a few times and compare the average”",
        "found": f"{differs} of {len(orders)} single runs rank baseline, visible and hidden "
        f"differently from the average; whichever order is right, at least {wrong} show another "
        f"({100 * low:.0f}% to {100 * high:.0f}%)",
        "found_new": "",
        "estimate": 100 * share, "low": 100 * low, "high": 100 * high,
        "new_low": np.nan, "new_high": np.nan,
        "these_verdict": verdict, "new_verdict": "not asked",
    }  # fmt: skip


def _order(accuracies):
    """List the arms from worst to best; None where two are level, which shows no order."""
    return None if accuracies.duplicated().any() else accuracies.sort_values().index.tolist()
