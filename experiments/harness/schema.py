"""Every result table once: who writes it, its rows, keys, columns, sources and metadata.

The tables are listed in ``schema.toml``. There, ``@arms`` stands for the four arms, ``@run``
for the metadata of a repeated cross-validation, and ``[arm]`` for the table of each arm, whose
name is ``@arm``. ``[kinds]`` and ``[names]`` say what columns hold, whatever the table.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from experiments.harness.settings import ARMS

RUN = ("data", "versions", "repeats", "folds", "epochs", "seed", "splits_sha256")

# What the metadata's keys hold, if they are there: a JSON type, a list or mapping of one, or a
# mapping with these keys, of which those with a question mark may be missing.
READING = {"target?": str, "task?": str, "keep?": [str], "drop?": [str], "drop_unlabelled?": bool}
DATA = {"file": str, "rows?": int, "sha256": str} | READING
VERSIONS = {"*": str}
SHAPES = {
    "data": DATA,
    "versions": VERSIONS,
    "tables": {"*": str},
    "space": {"*": list | dict},
    "machine": {"processor": str, "cores": int, "memory_gib": float | int | None},
    "sgemm_gflops": {"*": float | int},
    "comparison": {"data": DATA, "versions": VERSIONS},
    "model": {"file": str, "sha256": str},
    "guessing": dict | None,
    "minutes": int | None,
    "of": [str],
    "candidates": [dict],
    "scoring": [str],
    "settings": dict | list,
    "validation_split": float,
    "margin": float,
    **dict.fromkeys(("splits_sha256", "engine"), str),
    **dict.fromkeys(("repeats", "seeds", "folds", "epochs", "seed", "inner_folds", "best"), int),
    **dict.fromkeys(("batch_size", "halvings"), int),
    **dict.fromkeys(("passes", "monte_carlo_passes", "patience", "grid_repeats"), int),
}


@dataclass(frozen=True)
class Table:
    """A result table."""

    command: str  # the make target that writes it
    unit: str  # what one row stands for
    keys: tuple[str, ...]  # columns that identify a row
    columns: dict[str, str]  # meaning of each column, in the order of the file
    optional: tuple[str, ...] = ()  # columns that may be missing, or have empty cells
    further: str = ""  # description of columns whose names depend on the run
    sources: tuple[str, ...] = ()  # tables that it is computed from; none: scores of networks
    metadata: tuple[str, ...] = ()  # keys that its metadata must hold
    # What each column holds: "number" (perhaps infinite), "whole", "share" (from 0 to 1), "loss"
    # (finite, see `may_diverge`), "text", "label" (text that may look like a number), or the
    # names that may stand there.
    kinds: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)  # columns that number items of a key
    # Of a table of scores, the columns that tell its settings apart, so that a re-run can be
    # compared setting by setting; None for other tables.
    settings: tuple[str, ...] | None = None
    may_diverge: bool = False  # losses may be infinite or missing: the run tries extremes
    committed: bool = True  # whether the project commits it


def _read_tables():
    path = Path(__file__).with_suffix(".toml")
    content, tables = tomllib.loads(path.read_text(encoding="utf-8")), {}
    of_all, names_of_all = content.pop("kinds"), content.pop("names")
    for name, fields in content.items():
        for table in ARMS if name == "arm" else (name,):
            groups = {"@arms": ARMS, "@arm": (table,), "@run": RUN}
            expanded = {key: _expand(value, groups) for key, value in fields.items()}
            kinds = _by_column(of_all) | _expand(names_of_all, groups)
            kinds |= _by_column(expanded.pop("kinds", {})) | expanded.pop("names", {})
            kinds = {column: kinds.get(column, "number") for column in fields["columns"]}
            tables[table] = Table(**{"command": table} | expanded, kinds=kinds)
    return tables


def _by_column(kinds):
    return {column: kind for kind, columns in kinds.items() for column in columns}


def _expand(value, groups):
    """Replace the names of groups in lists by what they stand for."""
    if isinstance(value, dict):
        return {key: _expand(item, groups) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(item for part in value for item in groups.get(part, (part,)))
    return value


TABLES = _read_tables()
