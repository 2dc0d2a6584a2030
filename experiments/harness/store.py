"""Write and read result tables, each with metadata on what produced it.

The metadata holds the table's SHA-256, so truncated, edited or mismatched tables are rejected.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.harness.errors import InputError
from experiments.harness.files import (
    CHECKSUM,
    REPOSITORY,
    locked,
    read_bytes,
    write_together,
)
from experiments.harness.schema import ARMS, SHAPES, TABLES

LARGEST_WHOLE = 2**53  # up to which every whole number is a float
REMEDY = "remove it, and run its command again"
SONAR_SHA256 = "e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d"
SCORES = {  # columns of a per-fold table: keys of `foldstack.cross_validate`
    "accuracy": "test_score",
    "log_loss": "test_log_loss",
    "train_accuracy": "train_score",
    "train_log_loss": "train_log_loss",
}


def exists(folder: Path, name: str) -> bool:
    """Return whether the folder has the table."""
    return (folder / f"{name}.csv").exists()


def read_table(folder: Path, name: str, kind: str | None = None) -> pd.DataFrame:
    """Read a table, of another's `kind` perhaps.

    Raise `InputError` if it does not fit its schema or its metadata.
    """
    kind = kind or name
    path, table = folder / f"{name}.csv", TABLES[kind]
    try:
        content = read_bytes(path)
        frame = _parse(kind, io.BytesIO(content))
        _check_columns(table, frame)
        metadata = read_metadata(folder, name, kind)
        for column, key in table.numbers.items():
            if frame[column].max() >= len(metadata[key]):
                raise ValueError(f"{name}.json has fewer {key} than its {column} says")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}; {REMEDY}") from error
    if metadata[CHECKSUM] != _sha256(content):
        raise InputError(f"{path} is not the table that {name}.json describes; {REMEDY}")
    return frame


def read_metadata(folder: Path, name: str, kind: str | None = None) -> dict:
    """Read what produced a table; raise `InputError` if it is missing or broken."""
    path = folder / f"{name}.json"
    try:
        metadata = json.loads(read_bytes(path))
        if not isinstance(metadata, dict) or CHECKSUM not in metadata:
            raise ValueError("it is not the metadata of a table")
        _check_metadata(kind or name, metadata)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}; {REMEDY}") from error
    return metadata


@contextlib.contextmanager
def combining(folder: Path) -> Iterator[None]:
    """Report tables on one line that are sound one by one, but do not fit together.

    Somebody has edited or exchanged one of them: it lacks the row of an arm, for example.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {_reason(error)}"[:100]
        raise InputError(
            f"the tables in {folder} do not fit together ({reason}); run their commands again"
        ) from error


def read_arms(folder: Path, leave_out: str = "") -> dict[str, pd.DataFrame]:
    """Read the tables of all arms that have results; raise as `read_table`."""
    with locked(folder):
        present = [name for name in ARMS if name != leave_out and exists(folder, name)]
        return {name: read_table(folder, name) for name in present}


def check_other_arms(folder: Path, arm: str) -> None:
    """Raise `InputError` if a table that `write_arm` will read is broken."""
    with locked(folder):
        read_arms(folder, leave_out=arm)
        _read_curves(folder)


def read_published(sha256: str = SONAR_SHA256) -> pd.DataFrame:
    """Read the published results, a row per edition and arm; none if the dataset is not Sonar."""
    published = pd.read_csv(REPOSITORY / "data" / "published.csv", dtype={"edition": str})
    return published if sha256 == SONAR_SHA256 else published[:0]


def checksum(folder: Path, name: str) -> str | None:
    """Return the SHA-256 of a table; None if it does not exist."""
    path = folder / f"{name}.csv"
    return _sha256(path.read_bytes()) if path.exists() else None


def dataset_fingerprint(metadata: dict) -> dict:
    """Return the dataset metadata without the file name."""
    return metadata["data"] | {"file": ""}


def check_comparison_current(folder: Path) -> None:
    """Raise `InputError` if the comparison was computed from tables that have changed since."""
    tables = {}
    if exists(folder, "comparison"):
        tables = read_metadata(folder, "comparison")["tables"]
    for name, before in tables.items():
        if checksum(folder, name) != before:
            computed = f"{folder / 'comparison.csv'} was computed from another {name}.csv"
            remedy = "compare again: `make compare`, or `make all` if the arms no longer match"
            raise InputError(f"{computed}; {remedy}")


def write_part(folder: Path, name: str, kind: str, frame: pd.DataFrame, metadata: dict) -> None:
    """Write a table under another name than that of its kind."""
    write_together(folder, _with_metadata(name, frame, metadata, kind))


def write_tables(
    folder: Path, frames: Mapping[str, pd.DataFrame], metadata: dict, files: Mapping | None = None
) -> Path:
    """Write tables that share their metadata, and other files, all or none; return a path.

    Raise `InputError` if a table holds an impossible score, or nothing can be written.
    """
    contents = dict(files or {})
    for name, frame in frames.items():
        contents |= _with_metadata(name, frame, metadata)
    write_together(folder, contents)
    return folder / f"{name}.csv"


def write_arm(folder: Path, folds: pd.DataFrame, metadata: dict, curves=None, files=()) -> Path:
    """Write an arm's table and learning curves, and update the summaries of its dataset.

    `files` are removed.
    """
    name = folds["experiment"].iloc[0]
    with locked(folder):
        arms = {
            other: table
            for other, table in read_arms(folder, leave_out=name).items()
            if dataset_fingerprint(read_metadata(folder, other)) == dataset_fingerprint(metadata)
        } | {name: folds}
        arms = {arm: arms[arm] for arm in ARMS if arm in arms}
        summary = _summarise_arms(arms, read_published(metadata["data"]["sha256"]))
        contents = _with_metadata(name, folds[list(TABLES[name].columns)], metadata)
        contents |= _with_metadata("summary", summary, {"data": metadata["data"], "of": list(arms)})
        contents |= _curve_files(folder, name, curves, arms) | dict.fromkeys(files)
        write_together(folder, contents)
    return folder / f"{name}.csv"


def _summarise_arms(arms, published):
    """Summarise per-fold tables, one row per arm."""
    figures = published.pivot(index="experiment", columns="edition", values="mean_accuracy")
    figures = figures.reindex(index=list(arms), columns=["2016", "2017"])
    accuracy = [folds["accuracy"] for folds in arms.values()]
    return pd.DataFrame(
        {
            "experiment": list(arms),
            "repeats": [folds["repeat"].nunique() for folds in arms.values()],
            "folds": [folds["fold"].nunique() for folds in arms.values()],
            "mean_accuracy": [scores.mean() for scores in accuracy],
            "std_accuracy": [scores.std(ddof=0) for scores in accuracy],
            "published_2016": figures["2016"].to_numpy(),
            "published_2017": figures["2017"].to_numpy(),
        }
    )


def _summarise_curves(curves):
    """Summarise an arm's learning curves: mean, 10th and 90th percentile of each epoch."""
    by_epoch = curves.groupby(["experiment", "epoch"])[list(SCORES)]
    ends = [by_epoch.quantile(q).add_suffix(end) for q, end in ((0.1, "_low"), (0.9, "_high"))]
    columns = [f"{score}{suffix}" for score in SCORES for suffix in ("", "_low", "_high")]
    return pd.concat([by_epoch.mean(), *ends], axis=1)[columns].reset_index()


def round_trip(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it will be read back; raise `InputError` for an impossible score."""
    return _parse(name, io.StringIO(_csv(name, frame)))


def json_round_trip(metadata: dict) -> dict:
    """Return metadata as they will be read back: tuples become lists."""
    return json.loads(json.dumps(metadata))


def _parse(kind, content):
    """Parse a table; labels stay text, also a class that is called 0."""
    labels = [column for column, of_kind in TABLES[kind].kinds.items() if of_kind == "label"]
    return pd.read_csv(content, dtype=dict.fromkeys(labels, str), low_memory=False)


def _check_metadata(name, metadata):
    """Raise ValueError if the metadata lack what the schema asks for, or have it wrong."""
    table = TABLES[name]
    for key in table.metadata:
        if key not in metadata:
            raise ValueError(f"it does not have the key {key!r}")
    for key in metadata.keys() & SHAPES.keys():
        if not _has_shape(metadata[key], SHAPES[key]):
            raise ValueError(f"its {key} cannot be {metadata[key]!r}"[:100])
    if "splits_sha256" in table.metadata and "rows" not in metadata["data"]:
        raise ValueError("it does not say how many rows its dataset has")
    for key in table.numbers.values():
        if not _has_shape(metadata[key], [dict]):
            raise ValueError(f"its {key} cannot be {metadata[key]!r}"[:100])
    if "best" in table.metadata and metadata["best"] >= len(metadata["candidates"]):
        raise ValueError(f"its best is none of {len(metadata['candidates'])} candidates")


def _has_shape(value, shape):
    """Return whether a JSON value is of a type or has a shape, as `SHAPES` explains it."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(_has_shape(item, shape[0]) for item in value)
    if not isinstance(shape, dict):
        whole = not isinstance(value, int) or 0 <= value < LARGEST_WHOLE
        return isinstance(value, shape) and whole and isinstance(value, bool) == (shape is bool)
    if not isinstance(value, dict):
        return False
    if "*" in shape:
        return all(_has_shape(item, shape["*"]) for item in value.values())
    named = {key.rstrip("?"): item for key, item in shape.items()}
    required = {key for key in shape if not key.endswith("?")}
    fits = all(_has_shape(value[key], named[key]) for key in value.keys() & named)
    return required <= value.keys() and fits


def _check_columns(table, frame):
    """Raise ValueError if a column is missing, or holds what is not of its kind."""
    for column, kind in table.kinds.items():
        if column in frame:
            wrong = ~_of_kind(frame[column], kind, table.may_diverge)
            if column in table.optional:
                wrong &= frame[column].notna()
            if wrong.any():
                row = int(wrong.to_numpy().argmax())
                raise ValueError(f"row {row + 1} has {column} {frame[column].iloc[row]}"[:100])
        elif column not in table.optional:
            raise ValueError(f"it has no column {column!r}")
    if frame.empty:
        raise ValueError("it has no rows")
    keys = [key for key in table.keys if key in frame]
    if frame.duplicated(keys).any():
        raise ValueError(f"two rows have the same {', '.join(keys)}")


def _of_kind(cells, kind, may_diverge):
    """Return a mask of the cells that are of a kind, see `schema.Table`."""
    if isinstance(kind, tuple):
        return cells.isin(kind)
    if kind in ("text", "label"):
        return cells.map(lambda cell: isinstance(cell, str | tuple)).astype(bool)
    if pd.api.types.is_bool_dtype(cells):
        return cells & False
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    if kind == "loss":
        lost = (numbers == np.inf) | cells.isna()
        return numbers.between(0, np.inf, inclusive="left") | (lost & may_diverge)
    if kind == "whole":
        return numbers.between(0, LARGEST_WHOLE) & (numbers % 1 == 0)
    return numbers.between(0, 1) if kind == "share" else numbers.notna()


def _curve_files(folder, arm, curves, arms):
    """Update an arm's learning curves, and the summary of those of `arms`."""
    kept = set(arms) - {arm}
    tables = [table[table["experiment"].isin(kept)] for table in _read_curves(folder)]
    names = (f"{arm}-curves", "curves")
    files = dict.fromkeys(f"{name}.{end}" for name in names for end in ("csv", "json"))  # removed
    if curves is not None:
        files |= _with_metadata(names[0], curves, {"of": [arm]}, "network-curves")
        tables.append(_summarise_curves(curves))
    if tables := [table for table in tables if len(table)]:
        summary = pd.concat(tables).sort_values(["experiment", "epoch"])
        files |= _with_metadata("curves", summary, {"of": list(summary["experiment"].unique())})
    return files


def _read_curves(folder):
    """Read the summary of the learning curves: a list of one table or none."""
    return [read_table(folder, "curves")] if exists(folder, "curves") else []


def _with_metadata(name, frame, metadata, kind=None):
    table = _csv(kind or name, frame)
    metadata = metadata | {CHECKSUM: _sha256(table.encode())}
    return {f"{name}.csv": table, f"{name}.json": json.dumps(metadata, indent=2) + "\n"}


def _csv(name, frame):
    try:
        _check_columns(TABLES[name], frame)
    except ValueError as error:
        raise InputError(f"nothing was written: {name}.csv would be wrong, {error}") from error
    return frame.to_csv(index=False, lineterminator="\n")


def _reason(error):
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
