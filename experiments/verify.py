"""Verify: do the committed results come out again, here, with this code?

Every table in the results folder is re-run into a temporary folder, by the command and with the
options in its metadata, and compared: *identical*; *equal up to rounding*, within a
millionth; *within noise*, where the networks differ, as on another kind of processor, but their
scores do not, as far as the noise of seeds tells (p of at least 0.001 in a paired test for each
setting and score, corrected for their number); or *different*, exit status 1. A table computed
from others is compared with regard to them. `make benchmark` and `make validate` are left out.

    $ make verify ONLY=baseline,visible
    baseline              identical
    visible               identical
    ...

Everything takes an hour or more on 2 cores.
"""

import signal
import sys
import tempfile
from pathlib import Path

from experiments.harness import cli, reruns, store
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError, printable
from experiments.harness.files import locked
from experiments.harness.provenance import provenance
from experiments.harness.schema import ARMS, TABLES
from experiments.harness.settings import READING, REPEATABLE


def verify(options):
    """Re-run command by command, and print a verdict for each table; exit 1 if any is different."""
    present = read_results(options.results)
    commands = [name for name in REPEATABLE if name in options.only and reruns.own(name, present)]
    check_commands(commands, present, options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # after the subprocess has ended

    verdicts, rerun = {}, set()
    with tempfile.TemporaryDirectory() as folder:
        for command in commands:
            names = reruns.own(command, present)
            if command == "report" and not reruns.can_compare("claims", {*rerun, *names}, present):
                continue
            reruns.run_again(command, present, options, Path(folder))
            rerun.update(names)
            if set(ARMS) & set(present) <= rerun:  # the arms' summaries are complete
                rerun |= set(reruns.SHARED) & set(present)
            for name in [name for name in present if name not in verdicts]:
                if reruns.can_compare(name, rerun, present):
                    verdicts[name], reason = reruns.judge(name, present, Path(folder), verdicts)
                    reason = printable(reason and f": {reason}")
                    print(f"{name:21} {verdicts[name]}{reason}", flush=True)
    left = sorted(set(present) - set(verdicts))
    different = list(verdicts.values()).count("different")
    same = sum(verdict in reruns.SAME for verdict in verdicts.values())
    print(
        f"{same} the same, {len(verdicts) - same - different} within noise or too small to tell, "
        f"{different} different" + (f"; not re-run: {', '.join(left)}" if left else "")
    )
    if different:
        sys.exit(1)


def read_results(folder):
    """Read every table that can be re-run, with its metadata, in the order of the schema."""
    with locked(folder):
        return {
            name: (store.read_table(folder, name), earlier | store.read_metadata(folder, name))
            for name, table in TABLES.items()
            if table.command in REPEATABLE and store.exists(folder, name)
            for earlier in [reruns.EARLIER.get(table.command, {})]
        }


def check_commands(commands, present, options):
    """Check that there is something to re-run, from the dataset in use."""
    if not commands:
        raise InputError(f"{options.results} has nothing to re-run by {', '.join(options.only)}")
    if "compare" in commands and not set(ARMS) & set(present) <= set(commands):
        raise InputError("compare can be verified only together with the arms")
    expected = reruns.metadata_of(commands[0], present)
    reading = {name: value for name, value in expected["data"].items() if name in READING}
    data = read_dataset(options.data, folds=2, **reading)
    for name, (_, metadata) in present.items():
        if "data" in metadata and metadata["data"]["sha256"] != data.sha256:
            computed = f"{options.results / name}.csv was computed from another dataset"
            raise InputError(f"{computed} than {options.data}; name it with --data")
    here = provenance()["versions"]
    others = [
        f"{name} {version}, here {here.get(name)}"
        for name, version in expected["versions"].items()
        if here.get(name) != version
    ]
    if others:
        others = printable("; ".join(others))
        print(f"the results were computed with other versions: {others}")


main = cli.script("verify", __doc__, verify)

if __name__ == "__main__":
    main()
