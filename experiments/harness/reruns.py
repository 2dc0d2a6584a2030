"""Re-run commands from their metadata, and compare the tables with the committed ones."""

import subprocess
import sys
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import holm, t_interval
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.measures import MEASURES
from experiments.harness.parent import as_child
from experiments.harness.schema import ARMS, TABLES
from experiments.harness.settings import COMMANDS, arguments
from experiments.harness.space import format_space

ALPHA = 0.001  # below this p, corrected for settings and scores, a table is different
MIN_FOLDS = 10  # folds that a test needs at least
ROUNDING = 1e-6  # relative, or absolute near zero
SAME = {"identical", "equal up to rounding"}
SHARED = ("summary", "curves")  # written by every arm
EARLIER = {"tune": {"batch_size": 16, "halvings": 0}}  # what a command did before it was recorded
INPUTS = ("settings", "candidates", "space", "splits_sha256", "batch_size", "halvings")
INPUTS += ("passes", "patience", "validation_split")


def own(command, present):
    """Return the names of the present tables that a command alone writes."""
    return [name for name in present if TABLES[name].command == command and name not in SHARED]


def metadata_of(command, present):
    """Return the metadata that holds a command's options."""
    metadata = present[own(command, present)[0]][1]
    return metadata["comparison"] if command == "report" else metadata


def rerun_call(command, present, options, folder):
    """Return the call that runs a command with the options of its metadata."""
    metadata, module = metadata_of(command, present), COMMANDS[command].module
    call = [sys.executable, "-m", module, f"--results={folder}", *arguments(command, metadata)]
    for name in ("data", "jobs", "scheduler"):
        if name in COMMANDS[command].options and getattr(options, name) is not None:
            call.append(f"--{name}={getattr(options, name)}")
    if command in ARMS and "curves" in present and command in present["curves"][1]["of"]:
        call.append("--curves")
    if command == "tune" and (space := format_space(metadata["space"])) is not None:
        (folder / "space.toml").write_text(space, "utf-8", "replace")
        call.append(f"--space={folder / 'space.toml'}")
    return call


def run_again(command, present, options, folder):
    """Run a command in a process of its own, with the options of its metadata."""
    call = rerun_call(command, present, options, folder)
    # In a session of its own, so that Ctrl-C reaches this process only.
    quiet = {"stdout": subprocess.DEVNULL, "env": as_child()}
    with subprocess.Popen(call, start_new_session=True, **quiet) as process:
        try:
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status == 2:
        sys.exit(2)  # it has printed why
    if status:
        raise InputError(f"{command} ended with status {status}")


def judge(name, present, folder, verdicts):
    """Compare the re-run of a table, and what it was computed from, with the original."""
    before, metadata = present[name]
    rerun = store.read_metadata(folder, name)
    for key in INPUTS:
        if metadata.get(key) != rerun.get(key):
            return "different", f"re-run with another {key}"
    return compare_rerun(name, before, store.read_table(folder, name), verdicts)


def compare_rerun(
    name: str, before: pd.DataFrame, rerun: pd.DataFrame, verdicts: Mapping[str, str]
) -> tuple[str, str]:
    """Compare a re-run table with the original; return the verdict and the reason for it.

    On another processor the last bit of a sum differs, and after 300 epochs that is another
    network, as another seed's would be. So the scores of networks are compared with the noise of
    seeds: their differences, paired by fold, should have a mean of zero for every setting (t-test
    over folds, Holm's correction over settings and scores), and every other column should be
    equal. A table computed from others, whose `verdicts` are given, may differ only if they do.
    """
    if list(before) != list(rerun) or len(before) != len(rerun):
        return "different", "other columns, or another number of rows"
    if before.equals(rerun):
        return "identical", ""
    if (largest := _largest_relative(before, rerun)) <= ROUNDING:
        return "equal up to rounding", f"largest relative difference {largest:.1g}"
    if not TABLES[name].sources:
        return _compare_scores(TABLES[name], before, rerun)
    sources = {name: verdicts[name] for name in TABLES[name].sources if name in verdicts}
    for source, verdict in sources.items():
        if verdict == "different":
            return "different", f"like {source}"
    for verdict in sources.values():
        if verdict not in SAME:
            return verdict, "it is computed from tables that are not the same"
    return "different", f"although {', '.join(sources)} are the same"


def can_compare(name: str, rerun: Collection[str], present: Collection[str]) -> bool:
    """Return whether a table, and all present tables that it is computed from, were re-run."""
    table = TABLES[name]
    if table.settings is not None:
        return name in rerun
    needed = [source for source in table.sources if source in present]
    return name in rerun and bool(needed) and set(needed) <= set(rerun)


def _largest_relative(before, rerun):
    """Return the largest relative difference of two tables; infinite if text differs."""
    numeric = [c for c in before.select_dtypes("number") if c in rerun.select_dtypes("number")]
    if not before.drop(columns=numeric).equals(rerun.drop(columns=numeric)):
        return np.inf
    old, new = (table[numeric].to_numpy(float) for table in (before, rerun))
    if (np.isnan(old) != np.isnan(new)).any():
        return np.inf
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.abs(old - new)
        distance = np.where(old == new, 0, np.minimum(distance, distance / np.abs(old)))
    return np.nanmax(distance, initial=0)


def _compare_scores(table, before, rerun):
    keys = list(table.keys)
    if rerun.duplicated(keys).any():
        return "different", "duplicate folds"
    pairs = before.merge(rerun, on=keys, suffixes=("", "_rerun"), validate="one_to_one")
    if len(pairs) != len(before):
        return "different", "other folds or settings"
    scores = [name for name in before if name.endswith((*MEASURES, "collapsed"))]
    chosen = [name for name in before if name.endswith("chosen")]
    if "candidate" in before and "candidate" not in keys:  # what a search chose, with its settings
        chosen += before.columns[before.columns.get_loc("candidate") :].tolist()
        chosen += [name for name in before if name.endswith("_candidate")]
    lengths = "rung", "epochs", "n_epochs"  # of a search, and of early stopping
    chosen += [name for name in lengths if name in before]
    for name in before.columns.difference([*keys, *scores, *chosen]):
        if not pairs[name].equals(pairs[f"{name}_rerun"].rename(name)):
            return "different", f"another {name}"
    settings = list(table.settings or ())
    groups = [rows for _, rows in pairs.groupby(settings)] if settings else [pairs]
    if min(map(len, groups)) < MIN_FOLDS:
        return "too few folds to tell", "not the same"
    compared = [
        (score, _differences(*rows[[score, f"{score}_rerun"]].to_numpy(float).T))
        for rows in groups
        for score in scores
    ]
    p_values = holm([_p_of_zero_mean(difference) for _, difference in compared])
    score, difference = compared[int(p_values.argmin())]
    mean = difference.mean()
    mean = f"{100 * mean:+.2f} points" if score.endswith("accuracy") else f"{mean:+.3g}"
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
