"""Verify: do the committed results come out again, here, with this code?

Every table in the results folder is re-run into a temporary folder, by the command and with the
options in its metadata, and compared: *identical*; *the same but for rounding*, within a
millionth; *within noise*, where the networks differ, as on another kind of processor, but their
scores do not, as far as the noise of seeds tells (p of at least 0.001 in a paired test for each
setting and score, corrected for their number); or *different*, exit status 1. A table computed
from others is compared with regard to them. Timings, and the tables of `make validate`, are left
out.

    $ make verify ONLY=baseline,visible
    baseline              identical
    visible               identical
    ...

Everything takes 20 to 40 minutes on 2 cores.
"""

import signal
import sys
import tempfile
from pathlib import Path

from experiments.harness import store
from experiments.harness.cli import parse, run_command
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from experiments.harness.files import locked
from experiments.harness.provenance import provenance
from experiments.harness.reruns import SAME, can_compare, compare_rerun, metadata_of, run_again
from experiments.harness.schema import ARMS, TABLES
from experiments.harness.settings import REPEATABLE

INPUTS = ("settings", "candidates", "space", "splits_sha256", "batch_size", "passes")


def main(argv=None):
    """Re-run the results and compare."""
    options = parse("verify", __doc__, argv)
    different = []
    run_command("verify", lambda: different.extend(verify(options)))
    if different:
        sys.exit(1)


def verify(options):
    """Re-run command by command, and print a verdict for each table; returns those different."""
    present = read_results(options.results)
    commands = [
        command
        for command in REPEATABLE
        if command in options.only and any(TABLES[name].command == command for name in present)
    ]
    check_commands(commands, present, options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # after the subprocess has ended

    verdicts, rerun = {}, set()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for command in commands:
            written = {name for name in present if TABLES[name].command == command}
            if command == "report" and not can_compare("claims", rerun | {"claims"}, present):
                continue
            run_again(command, present, options, folder)
            rerun |= written
            if set(ARMS) & set(present) <= rerun:  # the arms' summaries are complete
                rerun |= {"summary", "curves"} & set(present)
            for name in present:
                if name not in verdicts and can_compare(name, rerun, present):
                    verdicts[name], reason = compare_rerun(
                        name, present[name][0], store.read_table(folder, name), verdicts
                    )
                    metadata = store.read_metadata(folder, name)
                    for key in INPUTS:
                        if present[name][1].get(key) != metadata.get(key):
                            verdicts[name], reason = "different", f"re-run with another {key}"
                    print(f"{name:21} {verdicts[name]}{reason and ': '}{reason}", flush=True)
    left = sorted(set(present) - set(verdicts))
    different = [name for name, verdict in verdicts.items() if verdict == "different"]
    same = sum(verdict in SAME for verdict in verdicts.values())
    print(
        f"{same} the same, {len(verdicts) - same - len(different)} within noise or too small to "
        f"tell, {len(different)} different" + (f"; not re-run: {', '.join(left)}" if left else "")
    )
    return different


def read_results(folder):
    """Read every table that can be re-run, with its metadata, in the order of the schema."""
    with locked(folder):
        return {
            name: (store.read_table(folder, name), store.read_metadata(folder, name))
            for name, table in TABLES.items()
            if table.command in REPEATABLE and store.exists(folder, name)
        }


def check_commands(commands, present, options):
    """Check that there is something to re-run, from the dataset in use."""
    if not commands:
        raise InputError(f"{options.results} has nothing to re-run by {', '.join(options.only)}")
    if "compare" in commands and not set(ARMS) & set(present) <= set(commands):
        raise InputError("compare can be verified only together with the arms")
    data = read_dataset(
        options.data, folds=2, target=metadata_of(commands[0], present)["data"].get("target")
    )
    for name, (_, metadata) in present.items():
        if "data" in metadata and metadata["data"]["sha256"] != data.sha256:
            raise InputError(
                f"{options.results / name}.csv was computed from another dataset than "
                f"{options.data}; name it with --data"
            )
    here = provenance()["versions"]
    others = [
        f"{name} {number}, here {here.get(name)}"
        for name, number in metadata_of(commands[0], present)["versions"].items()
        if here.get(name) != number
    ]
    if others:
        print(f"the results were computed with other versions: {'; '.join(others)}")


if __name__ == "__main__":
    main()
