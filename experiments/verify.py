"""Verify: do the committed results come out again, here, from this code?

Every table in the results folder is made again in a temporary one, by the command and with
the options that its record tells, and held against what is there: *identical*; *the same
but for rounding*, within a millionth; *within noise*, where the networks are others, as on
another kind of processor, but their scores are not, as far as the noise of seeds tells (p
of at least 0.001 in a paired test for each setting and score, corrected for their number);
or *different*, exit status 1. A table that follows from others is held to them where they
are the same. Tables of times, and the engine's own (`make validate`), are left out.

    $ make verify ONLY=baseline,visible
    baseline              identical
    visible               identical
    ...

All of it takes as long as all of it took, 20 to 40 minutes on 2 cores.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser
from experiments.harness.errors import InputError

# Each script, the table whose record tells its options, and all that it makes.
RUNS = {
    "baseline": ("baseline", ["baseline"]),
    "visible": ("visible", ["visible"]),
    "hidden": ("hidden", ["hidden"]),
    "control": ("control", ["control"]),
    "remedies": ("remedies", ["remedies"]),
    "compare": ("comparison", ["context", "comparison"]),
    "tips": ("tips-folds", ["tips-folds", "tips", "tips-comparison"]),
    "evaluation": ("evaluation", ["evaluation-folds", "evaluation", "evaluation-outputs"]),
    "tune": ("tuned", ["tuning", "tuned"]),
    "report": ("claims", ["claims"]),
}
FOLLOWING = ["summary", "curves"]  # written with the arms


def main(argv=None):
    """Make the results again and compare."""
    parser = script_parser("verify", __doc__)
    add_experiment_options(
        parser,
        leave_out=("repeats", "folds", "epochs", "seed", "target", "engine", "curves", "verbose"),
    )
    parser.add_argument("--only", type=_runs, default=list(RUNS), metavar="NAME,NAME",
                        help=f"only what these make again: {', '.join(RUNS)}")  # fmt: skip
    options = parser.parse_args(argv)
    different = []
    answer_mistakes("verify", lambda: different.extend(_verify(options)))
    if different:
        sys.exit(1)


def _runs(text):
    names = text.replace(",", " ").split()
    for name in names:
        if name not in RUNS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(RUNS)}")
    return names


def _verify(options):
    from experiments.harness import files
    from experiments.harness import store as tables
    from experiments.harness.dataset import read_dataset
    from experiments.harness.verification import SAME, judge, judgeable

    with files.locked(options.results):
        there = _read_results(options.results, tables)
    runs = {name: run for name, run in RUNS.items() if name in options.only and run[0] in there}
    if not runs:
        raise InputError(
            f"there is nothing in {options.results} to make again by {', '.join(options.only)}"
        )
    arms = [name for name in runs if name in tables.ARMS]
    if "compare" in runs and not {*tables.ARMS} & {*there} <= {*arms}:
        raise InputError("compare can be verified only together with the arms")
    record = there[next(iter(runs.values()))[0]][1]
    record = record if "data" in record else tables.read_record(options.results, "comparison")
    data = read_dataset(options.data, folds=2, target=record["data"].get("target"))
    for name, (_, its) in there.items():
        if "data" in its and its["data"]["sha256"] != data.sha256:
            raise InputError(
                f"{options.results / name}.csv is of other data than {options.data}; say of "
                "which with --data"
            )
    _tell_versions(record)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not before its process has ended

    with tempfile.TemporaryDirectory() as folder:
        again, verdicts, made = Path(folder), {}, set()
        for run, (source, names) in runs.items():
            if run == "report" and not _claims_can_be_made(there, made):
                continue
            curves = run in there["curves"][1]["of"] if "curves" in there else False
            _make_again(run, there[source][1], options, again, curves)
            made |= {*names} & {*there}
            if {*tables.ARMS} & {*there} <= made:
                made |= {*FOLLOWING} & {*there}
            for name in (*names, *FOLLOWING):
                if name not in verdicts and judgeable(name, made, there):
                    table = tables.read_table(again, name)
                    verdicts[name], reason = judge(name, there[name][0], table, verdicts)
                    if other := _other_settings(there[name][1], tables.read_record(again, name)):
                        verdicts[name], reason = "different", f"made with other {other}"
                    print(f"{name:21} {verdicts[name]}{reason and ': '}{reason}", flush=True)
    left = sorted(set(there) - set(verdicts))
    different = [name for name, verdict in verdicts.items() if verdict == "different"]
    same = sum(verdict in SAME for verdict in verdicts.values())
    print(f"{same} the same, {len(verdicts) - same - len(different)} within noise or too small to "
          f"tell, {len(different)} different"
          + (f"; not made again: {', '.join(left)}" if left else ""))  # fmt: skip
    return different


def _read_results(folder, tables):
    """Read every table that can be made again, with its record."""
    from experiments.harness.verification import SCORED, SOURCES

    names = [path.stem for path in sorted(folder.glob("*.csv"))]
    return {
        name: (tables.read_table(folder, name), tables.read_record(folder, name))
        for name in names
        if name in SCORED or name in SOURCES
    }


def _claims_can_be_made(there, made):
    """Whether all tables that the claims follow from are made again; and are of the claims."""
    from experiments.harness.verification import SOURCES

    with_tips = "tips-comparison" in there["claims"][1]
    return {*SOURCES["claims"]} & {*there} <= made and with_tips == ("tips-comparison" in there)


def _other_settings(record, again):
    """Name what a table was made with that differs, if anything does; the code may have changed."""
    for key in ("settings", "candidates", "space", "splits_sha256", "batch_size", "passes"):
        if record.get(key) != again.get(key):
            return key
    return None


def _tell_versions(record):
    from experiments.harness.provenance import provenance

    here = provenance()["versions"]
    others = [
        f"{name} {number}, here {here.get(name)}"
        for name, number in record["versions"].items()
        if here.get(name) != number
    ]
    if others:
        print(f"other versions than the results': {'; '.join(others)}")


def _make_again(run, record, options, folder, curves):
    """Run a script as its record tells, in a process of its own, into another folder."""
    from experiments.arms import NAMES
    from experiments.harness.interrupts import kept_from_children

    command = [sys.executable, "-m", f"experiments.{run}", f"--results={folder}"]
    if run != "report":
        command.append(f"--data={options.data}")
        if "target" in record["data"]:
            command.append(f"--target={record['data']['target']}")
        command.append(f"--jobs={options.jobs}")
    if run not in ("report", "compare"):  # compare takes them from the arms
        command += [f"--{key}={record[key]}" for key in ("folds", "epochs", "seed")]
        command += [] if run == "tune" else [f"--repeats={record['repeats']}"]
    if run in NAMES:
        command.append(f"--engine={record['engine']}")
        command += ["--curves"] if curves and record["engine"] == "stacked" else []
    if run in ("tips", "tune", *NAMES) and options.scheduler:
        command.append(f"--scheduler={options.scheduler}")
    if run == "tune":
        command.append(f"--inner-folds={record['inner_folds']}")
        command.append(f"--candidates={len(record['candidates'])}")
        command += _space(record, folder)
    with kept_from_children():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status == 2:
        sys.exit(2)  # it has said why
    if status:
        raise InputError(f"experiments.{run} ended with status {status}")


def _space(record, folder):
    """Write the space of a search as a file again, unless it was the default one."""
    from experiments.tune import SPACE

    if record["space"] == json.loads(json.dumps(SPACE)):
        return []
    lines = []
    for name, values in record["space"].items():
        if isinstance(values, dict):
            bounds = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
            lines.append(f"{name} = {{{bounds}}}\n")
        else:
            values = ["none" if value is None else value for value in values]
            lines.append(f"{name} = {json.dumps(values)}\n")
    path = folder / "space.toml"
    path.write_text("".join(lines))
    return [f"--space={path}"]


if __name__ == "__main__":
    main()
