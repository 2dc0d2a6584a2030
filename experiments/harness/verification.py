"""Judge tables made again: identical, the same but for rounding, within noise, or different."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from experiments.foldstack.statistics import holm, t_estimate
from experiments.harness.store import ARMS

ALPHA = 0.001  # a table is different below this p, corrected for its settings and scores
FEW = 10  # folds that a test needs at least
ROUNDING = 1e-6  # relative, or absolute where it is about zero
KEYS = ["experiment", "repeat", "fold", "setting", "learning_rate", "epochs", "candidate"]

# Tables of networks' scores, and the columns that tell their settings apart.
SCORED = dict.fromkeys(ARMS, ()) | {
    "context": ("experiment",),
    "remedies": ("learning_rate", "epochs"),
    "tips-folds": ("setting",),
    "evaluation-folds": (),
    "tuning": ("candidate",),
    "tuned": (),
}
# Tables that follow from others, or from the same networks.
SOURCES = {
    "summary": ARMS,
    "curves": ARMS,
    "comparison": (*ARMS, "context", "remedies"),
    "tips": ("tips-folds",),
    "tips-comparison": ("tips-folds",),
    "evaluation": ("evaluation-folds",),
    "evaluation-outputs": ("evaluation-folds",),
    "claims": (*ARMS, "comparison", "tips-comparison"),
}
SAME = {"identical", "the same but for rounding"}


def judge(
    name: str, before: pd.DataFrame, again: pd.DataFrame, verdicts: Mapping[str, str]
) -> tuple[str, str]:
    """Judge a table made again.

    On another processor the last bit of a sum is another, and after 300 epochs that is
    another network, as another seed's would be. So a table of scores that is not the same is
    held to the noise of seeds: the differences of accuracies, losses and collapses, paired by
    fold, have a mean of zero for every setting (t-test over folds, Holm's correction over
    settings and scores); what is no score is the same. A table that follows from others is
    as they are; if they are the same, it must be.

    Parameters
    ----------
    name : str
        Of `SCORED` or `SOURCES`.
    before, again : DataFrame
    verdicts : mapping of names to verdicts
        Of the tables judged before.

    Returns
    -------
    verdict : str
        ``identical``, ``the same but for rounding``, ``within noise``, ``too few folds to
        tell`` or ``different``.
    reason : str
        Empty if the tables are identical.
    """
    if list(before) != list(again) or len(before) != len(again):
        return "different", "other columns, or another number of rows"
    if before.equals(again):
        return "identical", ""
    if (largest := _largest_relative(before, again)) <= ROUNDING:
        return "the same but for rounding", f"largest relative difference {largest:.1g}"
    if name in SCORED:
        return _judge_scores(before, again, list(SCORED[name]))
    sources = [source for source in SOURCES[name] if source in verdicts]
    worst = [source for source in sources if verdicts[source] == "different"]
    if worst:
        return "different", f"as {worst[0]} is"
    others = [verdicts[source] for source in sources if verdicts[source] not in SAME]
    if not others:
        return "different", f"though {', '.join(sources)} are the same"
    return others[0], "it follows from tables that are not the same"


def _largest_relative(before, again):
    """Give the largest relative difference of two tables; infinite if words differ."""
    largest = 0.0
    for column in before:
        if not all(pd.api.types.is_numeric_dtype(table[column]) for table in (before, again)):
            if not before[column].equals(again[column]):
                return np.inf
            continue
        old, new = (table[column].to_numpy(float) for table in (before, again))
        if (np.isnan(old) != np.isnan(new)).any():
            return np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.abs(old - new)
            apart = np.where(old == new, 0, np.minimum(apart, apart / np.abs(old)))
        largest = max(largest, np.nanmax(apart, initial=0))
    return largest


def _judge_scores(before, again, settings):
    keys = [key for key in KEYS if key in before and key in (*settings, "repeat", "fold")]
    if again.duplicated(keys).any():
        return "different", "folds that are there twice"
    pairs = before.merge(again, on=keys, suffixes=("", "_again"), validate="one_to_one")
    if len(pairs) != len(before):
        return "different", "other folds or settings"
    scores = [name for name in before if name.endswith(("accuracy", "log_loss", "collapsed"))]
    chosen = ["chosen", *before.columns[before.columns.get_loc("candidate") :]] if (
        "candidate" in before and "candidate" not in settings
    ) else ["chosen"]  # fmt: skip
    for name in before.columns.difference([*keys, *scores, *chosen]):
        if not name.endswith("_candidate") and not pairs[name].equals(
            pairs[f"{name}_again"].rename(name)
        ):
            return "different", f"another {name}"
    groups = list(pairs.groupby(settings)) if settings else [((), pairs)]
    if min(len(rows) for _, rows in groups) < FEW:
        return "too few folds to tell", "not the same"
    compared = [
        (score, _differences(rows[score].to_numpy(float), rows[f"{score}_again"].to_numpy(float)))
        for _, rows in groups
        for score in scores
    ]
    p_values = holm([_p_of_zero_mean(difference) for _, difference in compared])
    worst, difference = compared[int(p_values.argmin())]
    mean = f"{100 * difference.mean():+.2f} points" if worst.endswith("accuracy") else (
        f"{difference.mean():+.3g}"
    )  # fmt: skip
    of = f" in one of {len(groups)} settings" if len(groups) > 1 else ""
    reason = f"at most {worst} differs, in the mean by {mean}{of}, p {p_values.min():.2g}"
    return ("different" if p_values.min() < ALPHA else "within noise"), reason


def _differences(before, again):
    """Subtract; a network that diverged both times has none."""
    both_lost = ~np.isfinite(before) & ~np.isfinite(again)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(both_lost, 0, again - before)


def _p_of_zero_mean(differences):
    """Give the p-value of a mean of zero; 0 if a network diverged only once."""
    if not np.isfinite(differences).all():
        return 0.0
    if np.ptp(differences) <= 1e-9:  # the same shift in every fold is no noise
        return float(abs(differences.mean()) <= 1e-9)
    return t_estimate(differences).p


def judgeable(name: str, made: Collection[str], there: Collection[str]) -> bool:
    """Whether a table can be judged: all that it follows from, and is there, was made again."""
    if name in SCORED:
        return name in made
    needed = [source for source in SOURCES.get(name, ()) if source in there]
    return name in made and bool(needed) and set(needed) <= set(made)
