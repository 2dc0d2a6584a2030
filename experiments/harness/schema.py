"""Every result table once: who writes it, its rows, keys, columns, sources and metadata.

The tables are listed in ``schema.toml``. There, ``@arms`` stands for the four arms, ``@run``
for the metadata of a repeated cross-validation, and ``[arm]`` for the table of each arm.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.settings import ARMS

RUN = ("data", "versions", "repeats", "folds", "epochs", "seed", "splits_sha256")

# JSON types of the metadata's keys.
KINDS = {
    dict: ("data", "versions", "tables", "space", "machine", "comparison"),
    list: ("of", "candidates", "scoring"),
    str: ("splits_sha256", "engine"),
    int: ("repeats", "folds", "epochs", "seed", "inner_folds", "halvings", "best", "passes"),
}


@dataclass(frozen=True)
class Table:
    """A result table."""

    command: str  # the make target that writes it
    unit: str  # what one row stands for
    keys: tuple[str, ...]  # columns that identify a row
    columns: dict[str, str]  # meaning of each column, in the order of the file
    optional: tuple[str, ...] = ()  # columns that may be missing
    further: str = ""  # description of columns whose names depend on the run
    sources: tuple[str, ...] = ()  # tables that it is computed from; none: scores of networks
    metadata: tuple[str, ...] = ()  # keys that its metadata must hold
    # Of a table of scores, the columns that tell its settings apart, so that a re-run can be
    # compared setting by setting; None for other tables.
    settings: tuple[str, ...] | None = None
    may_diverge: bool = False  # losses may be infinite or missing: the run tries extremes
    committed: bool = True  # whether the project commits it


def _read_tables():
    groups, tables = {"@arms": ARMS, "@run": RUN}, {}
    path = Path(__file__).with_suffix(".toml")
    for name, fields in tomllib.loads(path.read_text(encoding="utf-8")).items():
        for key, value in fields.items():
            if isinstance(value, list):
                fields[key] = tuple(item for part in value for item in groups.get(part, (part,)))
        for table in ARMS if name == "arm" else (name,):
            tables[table] = Table(**{"command": table} | fields)
    return tables


TABLES = _read_tables()
