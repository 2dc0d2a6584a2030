"""The command line that every script shares."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from experiments.harness import files, interrupts
from experiments.harness.errors import InputError

ALL_BUT_RESULTS = (
    "repeats", "folds", "epochs", "seed", "jobs", "scheduler", "data", "target", "engine", "curves",
    "verbose",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def script_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Make a parser for the script `name` that answers a mistake in one line, exit status 2."""
    return _Parser(
        prog=name,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_experiment_options(
    parser: argparse.ArgumentParser, leave_out: Collection[str] = ()
) -> None:
    """Add the options of everything that cross-validates, some left out by name."""

    def add(option, **details):
        if option.removeprefix("--") not in leave_out:
            parser.add_argument(option, **details)

    # fmt: off
    add("--repeats", type=whole(1), default=10, metavar="N",
        help="cross-validate N times, each time on new splits (default: %(default)s)")
    add("--folds", type=whole(2), default=10, metavar="N",
        help="folds of one cross-validation, stratified and shuffled (default: %(default)s)")
    add("--epochs", type=whole(1), default=300, metavar="N",
        help="passes over the training rows (default: %(default)s)")
    add("--seed", type=whole(0, 2**32 - 1), default=7, metavar="N",
        help="every split and every network's seed is derived from it (default: %(default)s)")
    add("--jobs", type=whole(1), default=os.cpu_count(), metavar="N",
        help="threads (stacked) or processes (scikit-learn); results do not depend on it "
             "(default: one per core, here %(default)s)")
    add("--scheduler", metavar="ADDRESS",
        help="train on the workers of a Dask cluster, as tcp://host:8786, instead of here")
    add("--data", type=Path, default=Path("data/sonar.csv"), metavar="FILE",
        help="a table of numbers and a class, separated by commas, semicolons or tabs, with "
             "a header or without (default: %(default)s)")
    add("--target", metavar="COLUMN",
        help="name or number of the class column (default: the last one)")
    add("--results", type=Path, default=Path("results"), metavar="FOLDER",
        help="where the tables go (default: %(default)s)")
    add("--engine", choices=["stacked", "scikit-learn"], default="stacked",
        help="stacked trains all networks side by side; scikit-learn one by one, the "
             "tutorial's way (default: %(default)s)")
    add("--curves", action="store_true",
        help="write the scores after every epoch, too")
    add("--verbose", action="store_true",
        help="say where the time goes")
    # fmt: on


def answer_mistakes(name: str, action: Callable[[], None], interrupted: str | None = None) -> None:
    """Run a script's `action`; what the user can mend is told in one line, exit status 2.

    An interrupt ends it with status 130 and the line `interrupted`, or what is true if none
    is given: nothing was written, or what was is whole.
    """
    interrupts.raise_from_now_on()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without “ and ”
    try:
        action()
        sys.stdout.flush()
        interrupts.ignore_from_now_on()
    except BrokenPipeError:  # as of `| head`: all is written, nobody listens
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except BaseException as error:
        files.remove_created()
        if isinstance(error, KeyboardInterrupt) or interrupts.came():
            written = "what was written before is whole" if files.written() else None
            interrupts.end_interrupted(name, interrupted or written or "nothing was written")
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            error = InputError(error.strerror)
        if not isinstance(error, InputError):
            raise
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def whole(smallest: int, largest: int | None = None) -> Callable[[str], int]:
    """Make an argparse type: a whole number within bounds."""

    def whole_number(text):
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < smallest or (largest is not None and number > largest):
            bounds = f"at least {smallest}" if largest is None else f"{smallest} to {largest}"
            raise argparse.ArgumentTypeError(f"{number} is out of range: {bounds}")
        return number

    return whole_number
