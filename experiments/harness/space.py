"""The space of settings that `make tune` searches: the default one, or one from a TOML file."""

import json
import math
import tomllib
from pathlib import Path

from scipy import stats

from experiments.harness.errors import InputError
from experiments.harness.files import read_whole

LARGEST = 2**53  # of a number: up to it, every whole one is a float
MODEL = "mlp__model__"
RATES = (f"{MODEL}visible_dropout", f"{MODEL}hidden_dropout")
SPACE = {
    f"{MODEL}visible_dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    f"{MODEL}hidden_dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    f"{MODEL}learning_rate": [0.01, 0.03, 0.1],
    f"{MODEL}momentum": [0.8, 0.9, 0.95],
    f"{MODEL}max_norm": [None, 2.0, 3.0, 4.0],
    f"{MODEL}hidden_units": [(30, 15), (60, 30), (120, 60)],
}
NO_DROPOUT = {rate: [0.0] for rate in RATES}


def read_space(path: Path) -> dict:
    """Read a space as `foldstack.StackedSearchCV` takes it; raise `InputError` if it is not one.

    Parameters have lists of values, or bounds ``{low, high, log}``; "none" is None. Between
    bounds that are whole numbers, and not on a logarithmic scale, only whole numbers are drawn.
    """
    try:
        content = tomllib.loads(read_whole(path).decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from error
    if not content:
        raise InputError(f"{path} has no parameters")
    for name in content:
        if "__" not in name:
            raise InputError(f"{name} cannot be searched: it is a whole step of the pipeline")
    if f"{MODEL}task" in content:
        raise InputError(f"{MODEL}task cannot be searched; TASK=regression predicts a number")
    space = {name: _values(path, name, values) for name, values in content.items()}
    if math.prod(len(values) for values in space.values() if isinstance(values, list)) > LARGEST:
        raise InputError(f"{path} has too many combinations; use bounds in place of lists")
    return space


def describe_space(space: dict) -> dict:
    """Return a space as JSON values, for the metadata."""
    described = dict(space)
    for name, values in space.items():
        if not isinstance(values, list):
            kind = int if values.dist.name == "randint" else float
            low, high = map(kind, values.support())
            described[name] = {"low": low, "high": high, "log": values.dist.name == "loguniform"}
    return described


def format_space(described: dict) -> str | None:
    """Return the TOML file of a described space; None if it is the default space."""
    if described == json.loads(json.dumps(SPACE)):
        return None
    text = ""
    for name, values in described.items():
        if isinstance(values, dict):
            bounds = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
            text += f"{name} = {{{bounds}}}\n"
        else:
            values = ["none" if value is None else value for value in values]
            text += f"{name} = {json.dumps(values)}\n"
    return text


def by_dropout(candidates: list[dict]) -> dict[str, list[int]]:
    """Group candidates into those with and without dropout; no groups if one would be empty."""
    groups = {"with_dropout": [], "without_dropout": []}
    for number, candidate in enumerate(candidates):
        dropout = any(candidate.get(rate) for rate in RATES)
        groups["with_dropout" if dropout else "without_dropout"].append(number)
    return groups if all(groups.values()) else {}


def short_names(candidate: dict) -> dict:
    """Return a candidate's parameters without the prefix of the network's own."""
    return {name.removeprefix(MODEL): value for name, value in candidate.items()}


def _values(path, name, values):
    if isinstance(values, list) and values and _is_usable(values):
        none = 0.0 if name.endswith("dropout") else None
        values = [tuple(value) if isinstance(value, list) else value for value in values]
        return [none if value == "none" else value for value in values]
    bounds = isinstance(values, dict) and isinstance(values.get("log", False), bool)
    if bounds and {"low", "high"} <= set(values) <= {"low", "high", "log"}:
        low, high, log = values["low"], values["high"], values.get("log")
        numbers = all(type(end) in (int, float) and _is_usable(end) for end in (low, high))
        if numbers and low < high and (low > 0 or not log):
            if isinstance(low, int) and isinstance(high, int) and not log:
                return stats.randint(low, high + 1)
            return stats.loguniform(low, high) if log else stats.uniform(low, high - low)
    raise InputError(f"{path}: {name} needs a list of values, or {{low = …, high = …}}")


def _is_usable(value):
    """Return whether a value is text, a number that is not too large, or has only such."""
    if isinstance(value, list | dict):
        return all(map(_is_usable, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) or (isinstance(value, int | float) and abs(value) <= LARGEST)
