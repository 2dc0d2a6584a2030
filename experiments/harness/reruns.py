"""Re-run commands from their metadata, and compare the tables with the committed ones."""

import subprocess
import sys
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import holm, t_interval
from experiments.harness.errors import InputError
from experiments.harness.schema import ARMS, TABLES
from experiments.harness.settings import COMMANDS, arguments
from experiments.harness.space import format_space

ALPHA = 0.001  # below this p, corrected for settings and scores, a table is different
MIN_FOLDS = 10  # folds that a test needs at least
ROUNDING = 1e-6  # relative, or absolute near zero
SAME = {"identical", "the same but for rounding"}


def metadata_of(command, present):
    """Return the metadata that tells a command's options."""
    (metadata, *_) = (
        metadata
        for name, (_, metadata) in present.items()
        if TABLES[name].command == command and name not in ("summary", "curves")
    )
    return metadata["comparison"] if command == "report" else metadata


def run_again(command, present, options, folder):
    """Run a command in a process of its own, with the options of its metadata."""
    metadata = metadata_of(command, present)
    call = [sys.executable, "-m", COMMANDS[command].module, f"--results={folder}"]
    call += arguments(command, metadata)
    takes = COMMANDS[command].options
    for name in ("data", "jobs", "scheduler"):
        if name in takes and getattr(options, name) is not None:
            call.append(f"--{name}={getattr(options, name)}")
    if command in ARMS and "curves" in present and command in present["curves"][1]["of"]:
        call.append("--curves")
    if command == "tune" and (space := format_space(metadata["space"])) is not None:
        (folder / "space.toml").write_text(space)
        call.append(f"--space={folder / 'space.toml'}")
    # In a session of its own, so that Ctrl-C reaches this process only.
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status == 2:
        sys.exit(2)  # it has printed why
    if status:
        raise InputError(f"{COMMANDS[command].module} ended with status {status}")


def compare_rerun(
    name: str, before: pd.DataFrame, rerun: pd.DataFrame, verdicts: Mapping[str, str]
) -> tuple[str, str]:
    """Compare a re-run table with the original.

    On another processor the last bit of a sum differs, and after 300 epochs that is another
    network, as another seed's would be. So a table of scores that is not the same is compared
    with the noise of seeds: the differences of accuracies, losses and collapses, paired by
    fold, should have a mean of zero for every setting (t-test over folds, Holm's correction
    over settings and scores), and every other column should be equal. A table computed from
    others differs if they do; if they are the same, it must be, too.

    Returns the verdict and the reason for it; `verdicts` are those of the tables compared before.
    """
    if list(before) != list(rerun) or len(before) != len(rerun):
        return "different", "other columns, or another number of rows"
    if before.equals(rerun):
        return "identical", ""
    if (largest := _largest_relative(before, rerun)) <= ROUNDING:
        return "the same but for rounding", f"largest relative difference {largest:.1g}"
    if not TABLES[name].sources:
        return _compare_scores(TABLES[name], before, rerun)
    sources = [source for source in TABLES[name].sources if source in verdicts]
    different = [source for source in sources if verdicts[source] == "different"]
    if different:
        return "different", f"like {different[0]}"
    others = [verdicts[source] for source in sources if verdicts[source] not in SAME]
    if not others:
        return "different", f"although {', '.join(sources)} are the same"
    return others[0], "it is computed from tables that are not the same"


def can_compare(name: str, rerun: Collection[str], present: Collection[str]) -> bool:
    """Return whether a table, and all present tables that it is computed from, were re-run."""
    table = TABLES[name]
    if table.settings is not None:
        return name in rerun
    needed = [source for source in table.sources if source in present]
    return name in rerun and bool(needed) and set(needed) <= set(rerun)


def _largest_relative(before, rerun):
    """Return the largest relative difference of two tables; infinite if text differs."""
    largest = 0.0
    for column in before:
        if not all(pd.api.types.is_numeric_dtype(table[column]) for table in (before, rerun)):
            if not before[column].equals(rerun[column]):
                return np.inf
            continue
        old, new = (table[column].to_numpy(float) for table in (before, rerun))
        if (np.isnan(old) != np.isnan(new)).any():
            return np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.abs(old - new)
            distance = np.where(old == new, 0, np.minimum(distance, distance / np.abs(old)))
        largest = max(largest, np.nanmax(distance, initial=0))
    return largest


def _compare_scores(table, before, rerun):
    keys = list(table.keys)
    if rerun.duplicated(keys).any():
        return "different", "duplicate folds"
    pairs = before.merge(rerun, on=keys, suffixes=("", "_rerun"), validate="one_to_one")
    if len(pairs) != len(before):
        return "different", "other folds or settings"
    scores = [name for name in before if name.endswith(("accuracy", "log_loss", "collapsed"))]
    chosen = [name for name in before if name.endswith("chosen")]
    if "candidate" in before and "candidate" not in keys:  # what a search chose, with its settings
        chosen += before.columns[before.columns.get_loc("candidate") :].tolist()
        chosen += [name for name in before if name.endswith("_candidate")]
    for name in before.columns.difference([*keys, *scores, *chosen]):
        if not pairs[name].equals(pairs[f"{name}_rerun"].rename(name)):
            return "different", f"another {name}"
    groups = list(pairs.groupby(list(table.settings))) if table.settings else [((), pairs)]
    if min(len(rows) for _, rows in groups) < MIN_FOLDS:
        return "too few folds to tell", "not the same"
    compared = [
        (score, _differences(rows[score].to_numpy(float), rows[f"{score}_rerun"].to_numpy(float)))
        for _, rows in groups
        for score in scores
    ]
    p_values = holm([_p_of_zero_mean(difference) for _, difference in compared])
    score, difference = compared[int(p_values.argmin())]
    mean = f"{difference.mean():+.3g}"
    if score.endswith("accuracy"):
        mean = f"{100 * difference.mean():+.2f} points"
    where = f" in one of {len(groups)} settings" if len(groups) > 1 else ""
    reason = f"{score} differs most, by {mean} on average{where}, p {p_values.min():.2g}"
    return ("different" if p_values.min() < ALPHA else "within noise"), reason


def _differences(before, rerun):
    """Subtract; a network that diverged both times has no difference."""
    both_lost = ~np.isfinite(before) & ~np.isfinite(rerun)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(both_lost, 0, rerun - before)


def _p_of_zero_mean(differences):
    """Return the p-value of a zero mean; 0 if a network diverged only once."""
    if not np.isfinite(differences).all():
        return 0.0
    if np.ptp(differences) <= 1e-9:  # the same shift in every fold is not noise
        return float(abs(differences.mean()) <= 1e-9)
    return t_interval(differences).p
