"""Judge tables made again: identical, the same but for rounding, within noise, or different."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from experiments.harness.statistics import holm, t_estimate
from experiments.harness.tables import ARMS

ALPHA = 0.01  # a table is different below this p, corrected for its settings
ROUNDING = 1e-6  # relative
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
    held to the noise of seeds: the differences of accuracy, paired by fold, have a mean of
    zero for every setting (t-test over folds, Holm's correction over settings). A table that
    follows from others is as they are; if they are the same, it must be.

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
        ``identical``, ``the same but for rounding``, ``within noise`` or ``different``.
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
    if all(verdicts[source] in SAME for source in sources):
        return "different", f"though {', '.join(sources)} are the same"
    return "within noise", "it follows from tables that are"


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
        with np.errstate(invalid="ignore"):
            apart = np.where(old == new, 0, np.abs(old - new) / np.maximum(np.abs(old), 1e-12))
        largest = max(largest, np.nanmax(apart, initial=0))
    return largest


def _judge_scores(before, again, settings):
    keys = [
        column for column in KEYS if column in before and column in (*settings, "repeat", "fold")
    ]
    pairs = before.merge(again, on=keys, suffixes=("", "_again"), validate="one_to_one")
    if len(pairs) != len(before):
        return "different", "other folds or settings"
    pairs["difference"] = 100 * (pairs["accuracy_again"] - pairs["accuracy"])
    groups = pairs.groupby(settings) if settings else [((), pairs)]
    means, p_values = zip(*(_mean_and_p(rows["difference"]) for _, rows in groups), strict=True)
    p = holm(p_values).min()
    most = max(means, key=abs)
    of = f" in the one of {len(means)} settings where it differs most" if len(means) > 1 else ""
    reason = (
        f"mean accuracy {most:+.2f} points{of}, of a fold up to "
        f"{pairs['difference'].abs().max():.1f}; p {p:.2g}"
    )
    return ("different" if p < ALPHA else "within noise"), reason


def _mean_and_p(differences):
    mean = float(differences.mean())
    if np.ptp(differences) == 0:  # the same shift in every fold is no noise
        return mean, float(mean == 0)
    return mean, t_estimate(differences).p


def judgeable(name: str, made: Collection[str], there: Collection[str]) -> bool:
    """Whether a table can be judged: all that it follows from, and is there, was made again."""
    if name in SCORED:
        return name in made
    needed = [source for source in SOURCES.get(name, ()) if source in there]
    return name in made and bool(needed) and set(needed) <= set(made)
