"""Every option, defined once: for the command line, `--help`, make, the metadata and `verify`.

make runs this file before anything is installed, with the Python at hand: standard library
only, valid from Python 3.8 on.
"""

from __future__ import annotations

import os
import reprlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

FROM_MAKE = "SONAR_DROPOUT_MAKE"  # environment variable: targets and variables, see the Makefile
MAKE_VARIABLES = ("PYTHON", "PYTEST", "RUN", "VENV")  # those of the Makefile itself


class Type(NamedTuple):
    """What the value of an option may be; `convert` raises ValueError for anything else."""

    metavar: str
    expected: str
    convert: Callable[[str], object]


class Option(NamedTuple):
    """An option of one or more commands; `name` is its key in the metadata of tables, too."""

    name: str
    type: Type | None  # None for a flag, which takes no value and is off by default
    help: str
    default: object = None
    recorded: bool = False  # in the metadata, because it influences the results

    @property
    def flag(self) -> str:
        """Name on a command line, such as ``--inner-folds``."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Name as a variable of make, such as ``INNER_FOLDS``."""
        return self.name.upper()

    def parse(self, text: str) -> object:
        """Convert a value given as text; raise ValueError with what was expected."""
        try:
            return self.type.convert(text)
        except ValueError:
            is_number = text.lstrip("-").isdigit() and len(text) < 20
            given = text if is_number else reprlib.repr(text)
            message = f"`{self.flag[2:]}` must be {self.type.expected}, got {given}"
            raise ValueError(message) from None

    def describe(self, default: object) -> str:
        """Return the help text with the default."""
        if default in (None, ()) or self.type is None:
            return self.help
        return f"{self.help} (default: {'all' if isinstance(default, list) else default})"


class Command(NamedTuple):
    """A target of make that takes options."""

    name: str
    options: tuple[str, ...]
    defaults: Mapping[str, object] = {}  # where they differ from the options' own
    script: str | None = None  # name of its module, where that is not the target's

    @property
    def module(self) -> str | None:
        """Module to run; None for `all`, which makes other targets."""
        return None if self.name == "all" else f"experiments.{self.script or self.name}"

    def default(self, option: str) -> object:
        """Return the default of an option."""
        return self.defaults.get(option, OPTIONS[option].default)


def _whole(minimum, maximum=10_000):
    def convert(text):
        number = int(text)
        if not minimum <= number <= maximum:
            raise ValueError
        return number

    return Type("N", f"a whole number from {minimum} to {maximum}", convert)


def _choice(*choices):
    return Type("NAME", f"one of {', '.join(choices)}", lambda text: choices[choices.index(text)])


def _names(*choices):
    def convert(text):
        return [choices[choices.index(name)] for name in text.replace(",", " ").split() or [""]]

    return Type("NAME,NAME", f"one or more of {', '.join(choices)}", convert)


def _columns(text):
    return [name.strip() for name in text.split(",") if name.strip()]


_COLUMNS = Type("COLUMN,COLUMN", "names or numbers of columns", _columns)
ARMS = ("baseline", "visible", "hidden", "control")
REPEATABLE = (*ARMS, "stopping", "remedies", "compare", "tips", "evaluation", "tune", "report")


def _path(text):
    if not text:
        raise ValueError  # it would be the current folder
    return Path(text)


_FILE, _FOLDER = Type("FILE", "a path", _path), Type("FOLDER", "a path", _path)
SCORES = ("accuracy", "balanced_accuracy", "roc_auc", "f1", "log_loss")
SCORES_OF_NUMBERS = ("r2", "mean_absolute_error")
PARTS = ("engines", "search", "tables", "kills", "null", "answers", "all")
_DATA = "table of features and what to predict; separator and header are detected"
_TARGET = "name or number of the column to predict (default: the last)"
_TASK = "what to predict, a class or (regression) a number"
_SCORING = "scores to report; the first selects (default: accuracy, or R² of numbers)"
_JOBS = "threads, or processes with scikit-learn; does not change the results"
_PART = "engines, search or all of both; make validate: also tables, kills, null or answers"
_HALVINGS = "times that two thirds of the candidates are left out early; 0 trains all to the end"
_ENGINE = "stacked: all networks train together; scikit-learn: one after another"
_OPTIONS = (
    Option("repeats", _whole(1), "number of cross-validations, each on new splits", 10, True),
    Option("seeds", _whole(1, 1000), "networks of each split, each from other weights", 1, True),
    Option("folds", _whole(2), "stratified, shuffled folds of each cross-validation", 10, True),
    Option("epochs", _whole(1, 2**31 - 1), "passes over the training rows", 300, True),
    Option("seed", _whole(0, 2**32 - 1), "seed of all splits and networks", 7, True),
    Option("jobs", _whole(1, 1000), _JOBS, os.cpu_count() or 1),
    Option("data", _FILE, _DATA, Path("data/sonar.csv")),
    Option("target", Type("COLUMN", "text", str), _TARGET, recorded=True),
    Option("task", _choice("classification", "regression"), _TASK, "classification", True),
    Option("keep", _COLUMNS, "columns to learn from, whatever they look like", (), True),
    Option("drop", _COLUMNS, "columns to leave out", (), True),
    Option("drop_unlabelled", None, "leave out rows without a value to predict", False, True),
    Option("results", _FOLDER, "folder of the result tables", Path("results")),
    Option("scheduler", Type("ADDRESS", "text", str), "Dask cluster to train on: tcp://host:8786"),
    Option("engine", _choice("stacked", "scikit-learn"), _ENGINE, "stacked", True),
    Option("curves", None, "also write the scores after every epoch", False),
    Option("verbose", None, "print how long each step takes", False),
    Option("inner_folds", _whole(2), "folds that select, within each training set", None, True),
    Option("candidates", _whole(1), "number of candidates drawn from the space", None, True),
    Option("scoring", _names(*SCORES, *SCORES_OF_NUMBERS), _SCORING, recorded=True),
    Option("batch_size", _whole(1, 2**31 - 1), "rows in a training step", None, True),
    Option("halvings", _whole(0, 9), _HALVINGS, None, True),
    Option("minutes", _whole(1), "make a plan of training that takes about so long at most"),
    Option("space", _FILE, "TOML file of the search space (default: the built-in one)"),
    Option("model", _FILE, "model saved by make tune", Path("results/tuned.keras")),
    Option("before", _FOLDER, "another checkout of the project, to be timed in turn with this one"),
    Option("part", _choice(*PARTS), _PART, "all"),
    Option("only", _names(*REPEATABLE), "commands to run again", list(REPEATABLE)),
)
OPTIONS = {option.name: option for option in _OPTIONS}

READING = ("target", "task", "keep", "drop", "drop_unlabelled")  # recorded with the data
_READING = tuple(name for name in READING if name != "task")  # the arms are of classes
_SPLITS = ("repeats", "folds", "epochs", "seed", "jobs", "data", *_READING, "results")
_NETWORKS = ("repeats", "seeds", *_SPLITS[1:])
_PLANNED = {"folds": None, "epochs": None}  # by the number of rows, as what has no default is
_SEARCH = ("task", "scoring", "space", "inner_folds", "candidates", "batch_size", "halvings")
_ARM = (*_NETWORKS, "scheduler", "engine", "curves", "verbose")
_BY_PART = {"repeats": None, "seeds": None}  # what each part needs
_COMMANDS = (
    *(Command(arm, _ARM) for arm in ARMS),
    Command("stopping", (*_NETWORKS, "scheduler")),
    Command("remedies", (*_NETWORKS, "scheduler")),
    Command("tips", (*_NETWORKS, "scheduler"), {"repeats": 20, "seeds": 10}),
    Command("evaluation", _SPLITS, script="dropout_modes"),
    Command("tune", (*_SPLITS[1:], "scheduler", *_SEARCH, "minutes"), _PLANNED),
    Command("predict", ("data", "results", "model")),
    Command("compare", _ARM),
    Command("figures", ("results",)),
    Command("report", ("results",)),
    Command("all", (*_NETWORKS, "scheduler", "verbose"), {"repeats": 60, "seeds": 7}),
    Command("validate", (*_NETWORKS, "part", "minutes"), _BY_PART, "engine_check"),
    Command("verify", ("jobs", "data", "results", "scheduler", "only")),
    Command("benchmark", ("epochs", "seed", "data", "results", "before", "part")),
)
COMMANDS = {command.name: command for command in _COMMANDS}


def _recorded_values(command, values):
    names = [name for name in COMMANDS[command].options if OPTIONS[name].recorded]
    return {name: values[name] for name in names if values.get(name) is not None}


def recorded(command: str, options: Namespace) -> dict[str, object]:
    """Return the options that belong in a table's metadata, beside those of reading the data."""
    values = _recorded_values(command, vars(options))
    return {name: value for name, value in values.items() if name not in READING}


def arguments(command: str, metadata: Mapping[str, object]) -> list[str]:
    """Return the arguments that repeat a run, from the metadata of its table.

    Options of reading stand in the metadata of the data; `candidates` may be the list of them.
    Options that are not in the metadata are left at their defaults.
    """
    values = {**metadata.get("data", {}), **metadata}
    if isinstance(values.get("candidates"), list):
        values["candidates"] = len(values["candidates"])
    return to_arguments(_recorded_values(command, values))


def to_arguments(values: Mapping[str, object]) -> list[str]:
    """Return the arguments that give options these values; None leaves one out."""
    found = []
    for name, value in values.items():
        if value is not None:
            value = ",".join(value) if isinstance(value, list) else value
            found.append(OPTIONS[name].flag + ("" if value is True else f"={value}"))
    return found


def _read_make():
    """Return the targets and the variables of the make command that runs this process.

    The Makefile exports them separated by spaces, with ``%20``, ``%0A`` and ``%25`` in values.
    """
    words = [word for word in os.environ.get(FROM_MAKE, "").split(" ") if word]
    values = dict(word.split("=", 1) for word in words if "=" in word)
    for code, character in (("%20", " "), ("%0A", "\n"), ("%25", "%")):  # percent signs last
        values = {name: value.replace(code, character) for name, value in values.items()}
    return [word for word in words if "=" not in word], values


def make_arguments(command: str) -> list[str]:
    """Return the variables of the make command that `command` takes, as its arguments."""
    values, found = _read_make()[1], []
    for option in (OPTIONS[name] for name in COMMANDS[command].options):
        value = values.get(option.variable)
        if value is not None and option.type:
            found.append(f"{option.flag}={value}")
        elif value and value.lower() not in ("0", "no", "false"):
            found.append(option.flag)
    return found


def check_make() -> int:
    """Refuse variables that no target of the make command takes; return the exit status."""
    targets, values = _read_make()
    taken = {name for target in targets if target in COMMANDS for name in COMMANDS[target].options}
    variables = [option.variable for option in _OPTIONS if option.name in taken]
    known = [*variables, *MAKE_VARIABLES]
    unknown = ", ".join(repr(name) for name in values if name not in known)
    unused = [name for name in variables if name in os.environ]
    make = " ".join(["make", *targets])
    if unknown:
        print(f"make: unknown variable {unknown}; {make} takes {', '.join(known)}", file=sys.stderr)
        return 2
    if unused:
        hint = f"use {make} {unused[0]}=..."
        print(f"make: not using {', '.join(unused)} from the environment; {hint}", file=sys.stderr)
    return 0


def print_help() -> None:
    """List the variables of make."""
    print("\n  Variables, as in make baseline REPEATS=5 SEED=1; no target takes all of them:")
    for option in _OPTIONS:
        takers = [name for name, command in COMMANDS.items() if option.name in command.options]
        usage = f"{option.variable}={option.type.metavar if option.type else 1}"
        only = f"make {takers[0]}: " if len(takers) == 1 else ""
        print(f"  {usage:19} {only}{option.describe(option.default)}")


if __name__ == "__main__":
    sys.exit(print_help() if sys.argv[1:] == ["help"] else check_make())
