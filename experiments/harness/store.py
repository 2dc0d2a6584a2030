"""Write and read the tables in results/, each with a record of what produced it.

The record holds the table's checksum: a table that was cut short, changed, or is another's
is told when it is read.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.harness.errors import InputError
from experiments.harness.files import locked, write_together

FOLD_COLUMNS = [
    "experiment", "repeat", "fold", "n_train", "n_test",
    "accuracy", "log_loss", "train_accuracy", "train_log_loss", "collapsed",
]  # fmt: skip

ARMS = ["baseline", "visible", "hidden", "control"]
DIVERGING = {"tuning", "tuned", "tips", "tips-folds"}  # what tries extremes; counted as collapsed
CHECKSUM = "table_sha256"  # of a record's table
AGAIN = "make it again, or remove it"
SONAR_SHA256 = "e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d"
PUBLISHED = Path(__file__).parents[2] / "data" / "published.csv"


def write_arm(
    folder: Path, folds: pd.DataFrame, record: dict, curves: pd.DataFrame | None = None
) -> Path:
    """Write one arm's table and record, and bring the summary of its data up to date.

    Parameters
    ----------
    folder : Path
    folds : DataFrame with `FOLD_COLUMNS`
        One row per repeat and fold, all of one experiment.
    record : dict
        What produced the table.
    curves : DataFrame, optional
        One row per repeat, fold and epoch.

    Returns
    -------
    Path
        Of the table.
    """
    name = folds["experiment"].iloc[0]
    with locked(folder):
        arms = {
            other: table
            for other, table in read_others(folder, name).items()
            if data_identity(read_record(folder, other)) == data_identity(record)
        } | {name: folds}
        published = read_published(record["data"]["sha256"])
        there = [each for each in ARMS if each in arms]
        summary = summarise([arms[each] for each in there], published)
        write_together(
            folder,
            _with_record(name, folds[FOLD_COLUMNS], record)
            | _with_record("summary", summary, {"data": record["data"], "of": there})
            | _curve_files(folder, name, curves, arms),
        )
    return folder / f"{name}.csv"


def read_arm(folder: Path, experiment: str) -> pd.DataFrame:
    """Read the table of one arm; raises as `read_table`."""
    return read_table(folder, experiment, columns=FOLD_COLUMNS)


def check_others(folder: Path, experiment: str) -> None:
    """Read what `write_arm` will read beside the arm's own table; raises as `read_table`."""
    with locked(folder):
        read_others(folder, experiment)
        _read_curves(folder)


def read_others(folder: Path, experiment: str) -> dict[str, pd.DataFrame]:
    """Read the tables of all arms that have results but one; raises as `read_table`."""
    with locked(folder):
        there = [name for name in ARMS if (folder / f"{name}.csv").exists()]
        return {name: read_arm(folder, name) for name in there if name != experiment}


def read_record(folder: Path, name: str) -> dict:
    """Read what produced the table `name`.

    Raises
    ------
    InputError
        If it is missing or not such a record.
    """
    path = folder / f"{name}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or CHECKSUM not in record:
            raise ValueError("it is no record of a table")
        _check_record(name, record)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}; {AGAIN}") from error
    return record


def _check_record(name, record):
    """Refuse a record that lacks what the pages and comparisons take from it."""
    run = ("data", "versions", "repeats", "folds", "epochs", "seed", "splits_sha256")
    tuning = (*run, "inner_folds", "candidates", "best", "space")
    needed = dict.fromkeys(ARMS, (*run, "engine", "settings")) | {
        "summary": ("data", "of"),
        "curves": ("of",),
        "comparison": (*run, "engine", "tables"),
        "remedies": (*run, "engine", "settings"),
        "tips-folds": (*run, "settings"),
        "tuning": tuning,
        "tuned": tuning,
    }
    kinds = {
        "data": dict, "versions": dict, "tables": dict, "space": dict, "of": list,
        "candidates": list, "splits_sha256": str, "engine": str, "repeats": int, "folds": int,
        "epochs": int, "seed": int, "inner_folds": int, "best": int,
    }  # fmt: skip
    for key in needed.get(name, ()):
        if key not in record:
            raise ValueError(f"it does not say the {key}")
    for key in kinds.keys() & record.keys():
        if not isinstance(record[key], kinds[key]):
            raise ValueError(f"its {key} cannot be {record[key]!r}"[:100])
    if "data" in record and "sha256" not in record["data"]:
        raise ValueError("it does not say which data it is of")


def read_arms(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of all arms that have results; see `read_arm`."""
    return read_others(folder, "")


def checksum(folder: Path, name: str) -> str | None:
    """Compute the SHA-256 of a table; None if it is not there."""
    path = folder / f"{name}.csv"
    return _sha256(path.read_bytes()) if path.exists() else None


def data_identity(record: dict) -> dict:
    """Give what a record says of its data, but for the name of the file."""
    return record["data"] | {"file": ""}


def read_table(folder: Path, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table, and make sure that it is the one that its record is of.

    Raises
    ------
    InputError
        If table or record are missing or broken, columns are missing, or it holds an
        accuracy or a loss that cannot be.
    """
    path = folder / f"{name}.csv"
    try:
        content = path.read_bytes()
        frame = pd.read_csv(io.BytesIO(content))
        if missing := [column for column in columns if column not in frame]:
            raise ValueError(f"it has no column {missing[0]!r}")
        if frame.empty:
            raise ValueError("it has no rows")
        _check_scores(name, frame)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}; {AGAIN}") from error
    if read_record(folder, name)[CHECKSUM] != _sha256(content):
        raise InputError(f"{path} is not the table that {name}.json is of; {AGAIN}")
    return frame


def _reason(error):
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _check_scores(name, frame):
    """Refuse accuracies outside 0 to 1 and losses that are not finite."""
    for column in frame:
        values = pd.to_numeric(frame[column], errors="coerce")
        if str(column).endswith("accuracy"):
            wrong = ~values.between(0, 1)
        elif str(column).endswith("log_loss") and name not in DIVERGING:
            wrong = ~values.between(0, np.inf, inclusive="left")
        else:
            continue
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"row {row + 1} has {column} {frame[column].iloc[row]}")


def read_published(sha256: str = SONAR_SHA256) -> pd.DataFrame:
    """Read the tutorial's published figures, one row per edition and experiment.

    No rows for data of another checksum than the Sonar file's.
    """
    published = pd.read_csv(PUBLISHED, dtype={"edition": str})
    return published if sha256 == SONAR_SHA256 else published[:0]


def summarise(arms: list[pd.DataFrame], published: pd.DataFrame) -> pd.DataFrame:
    """Summarise per-fold tables, one row per arm.

    ``std_accuracy`` is the standard deviation over all folds with a divisor of their number,
    as the tutorial computes it (``results.std()``); it is not a standard error.
    """
    figures = published.pivot(index="experiment", columns="edition", values="mean_accuracy")
    figures = figures.reindex(columns=["2016", "2017"])
    return pd.DataFrame(
        {
            "experiment": folds["experiment"].iloc[0],
            "repeats": folds["repeat"].nunique(),
            "folds": folds["fold"].nunique(),
            "mean_accuracy": folds["accuracy"].mean(),
            "std_accuracy": folds["accuracy"].std(ddof=0),
            "published_2016": figures["2016"].get(folds["experiment"].iloc[0]),
            "published_2017": figures["2017"].get(folds["experiment"].iloc[0]),
        }
        for folds in arms
    )


def _curve_files(folder, experiment, curves, arms):
    """Keep an arm's learning curves and their summary in step with the tables of its data."""
    kept = set(arms) - {experiment}
    others = [table[table["experiment"].isin(kept)] for table in _read_curves(folder)]
    files = {f"{experiment}-curves.csv": None}  # those there are of an earlier table
    if curves is not None:
        files[f"{experiment}-curves.csv"] = _csv("curves", curves)
        others.append(summarise_curves(curves))
    others = [table for table in others if len(table)]
    if not others:
        return files | {"curves.csv": None, "curves.json": None}
    together = pd.concat(others).sort_values(["experiment", "epoch"])
    return files | _with_record("curves", together, {"of": list(together["experiment"].unique())})


def _read_curves(folder):
    """Read the summary of the learning curves, if there is one: a list of one table or none."""
    there = (folder / "curves.csv").exists()
    return [read_table(folder, "curves", ["experiment", "epoch"])] if there else []


def summarise_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Summarise the learning curves of an arm's networks, one row an epoch.

    For each of ``accuracy, log_loss, train_accuracy, train_log_loss``: the mean over the
    networks, and as ``_low`` and ``_high`` their 10th and 90th percentile.
    """
    scores = ["accuracy", "log_loss", "train_accuracy", "train_log_loss"]
    by_epoch = curves.groupby(["experiment", "epoch"])[scores]
    parts = [
        by_epoch.mean(),
        by_epoch.quantile(0.1).add_suffix("_low"),
        by_epoch.quantile(0.9).add_suffix("_high"),
    ]
    columns = [f"{score}{suffix}" for score in scores for suffix in ("", "_low", "_high")]
    return pd.concat(parts, axis=1)[columns].reset_index()


def write_tables(
    folder: Path,
    frames: Mapping[str, pd.DataFrame],
    record: dict,
    files: Mapping[str, bytes | None] | None = None,
) -> Path:
    """Write tables of one record, and files beside them, all or none.

    Returns
    -------
    Path
        Of the last table.

    Raises
    ------
    InputError
        If a table holds an accuracy or a loss that cannot be, or nothing can be written.
    """
    contents = dict(files or {})
    for name, frame in frames.items():
        contents |= _with_record(name, frame, record)
    write_together(folder, contents)
    return folder / f"{name}.csv"


def write_table(folder: Path, name: str, frame: pd.DataFrame, record: dict) -> Path:
    """Write one table and its record; see `write_tables`."""
    return write_tables(folder, {name: frame}, record)


def _with_record(name, frame, record):
    table = _csv(name, frame)
    record = record | {CHECKSUM: _sha256(table.encode())}
    return {f"{name}.csv": table, f"{name}.json": json.dumps(record, indent=2) + "\n"}


def json_round_trip(record: dict) -> dict:
    """Give a record as it will be read back: tuples are lists then."""
    return json.loads(json.dumps(record))


def csv_round_trip(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a table as it will be read back: empty words are missing then."""
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def write_page(path: Path, text: str) -> Path:
    """Write a page of text; returns its path."""
    write_together(path.parent, {path.name: text})
    return path


def _csv(name, frame):
    try:
        _check_scores(name, frame)
    except ValueError as error:
        raise InputError(f"nothing was written: {name}.csv would be wrong, {error}") from error
    return frame.to_csv(index=False, lineterminator="\n")


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
