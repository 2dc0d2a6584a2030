"""Write and read the tables in results/: whole or not at all."""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pandas as pd

from experiments.harness.errors import InputError

FOLD_COLUMNS = [
    "experiment", "repeat", "fold", "n_train", "n_test",
    "accuracy", "log_loss", "train_accuracy", "train_log_loss", "collapsed",
]  # fmt: skip

ARMS = ["baseline", "visible", "hidden", "control"]
SONAR_SHA256 = "e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d"
PUBLISHED = Path(__file__).parents[2] / "data" / "published.csv"


def check_folder(folder: Path) -> None:
    """Make sure that tables can be written into `folder`, creating it if need be.

    Raises
    ------
    InputError
        If it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"cannot write results to {folder}: {error.strerror}") from error


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
    path = folder / f"{folds['experiment'].iloc[0]}.csv"
    with _locked(folder):
        arms = {
            name: other
            for name, other in read_others(folder, path.stem).items()
            if data_identity(read_record(folder, name, "data")) == data_identity(record)
        } | {path.stem: folds}
        _write(path, _csv(folds[FOLD_COLUMNS]))
        _update_curves(folder, path.stem, curves, arms)
        _write(path.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
        published = read_published(record["data"]["sha256"])
        summary = summarise([arms[name] for name in ARMS if name in arms], published)
        _write(folder / "summary.csv", _csv(summary))
    return path


def read_arm(folder: Path, experiment: str) -> pd.DataFrame:
    """Read the table of one arm.

    Raises
    ------
    InputError
        If the file is not such a table.
    """
    path = folder / f"{experiment}.csv"
    try:
        folds = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    missing = [column for column in FOLD_COLUMNS if column not in folds]
    if missing or folds.empty:
        raise InputError(
            f"{path} is no table of folds: "
            + (f"no column {missing[0]!r}" if missing else "no rows")
            + f"; remove it, or make it again with `make {experiment}`"
        )
    return folds


def read_others(folder: Path, experiment: str) -> dict[str, pd.DataFrame]:
    """Read the tables of all arms that have results but one.

    Raises
    ------
    InputError
        If a file of that name is not such a table, or has no record of its data.
    """
    names = [name for name in ARMS if name != experiment and (folder / f"{name}.csv").exists()]
    arms = {name: read_arm(folder, name) for name in names}
    for name in names:
        read_record(folder, name, "data")
    return arms


def read_record(folder: Path, name: str, key: str = "splits_sha256") -> dict:
    """Read what produced the table `name`, and make sure that it says `key`.

    Raises
    ------
    InputError
        If it is missing or not such a record.
    """
    path = folder / f"{name}.json"
    try:
        record = json.loads(path.read_text())
        if not isinstance(record, dict) or key not in record:
            raise ValueError(f"it does not say {key!r}")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; make it and its table again") from error
    return record


def read_arms(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of all arms that have results; see `read_arm`."""
    return read_others(folder, "")


def checksum(folder: Path, name: str) -> str | None:
    """Compute the SHA-256 of a table; None if it is not there."""
    path = folder / f"{name}.csv"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def data_identity(record: dict) -> dict:
    """Give what a record says of its data, but for the name of the file."""
    return record["data"] | {"file": ""}


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read any other table.

    Raises
    ------
    InputError
        If it is missing or no table.
    """
    path = folder / f"{name}.csv"
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


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


@contextlib.contextmanager
def _locked(folder):
    """Keep other processes from writing into the folder: the summary is read, then written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _update_curves(folder, experiment, curves, arms):
    """Keep an arm's learning curves and their summary in step with the tables of its data."""
    single, together = folder / f"{experiment}-curves.csv", folder / "curves.csv"
    others = [read_table(folder, "curves")] if together.exists() else []
    kept = set(arms) - {experiment}
    others = [table[table["experiment"].isin(kept)] for table in others]
    if curves is None:  # those there are of an earlier table
        single.unlink(missing_ok=True)
    else:
        _write(single, _csv(curves))
        others.append(summarise_curves(curves))
    if others:
        _write(together, _csv(pd.concat(others).sort_values(["experiment", "epoch"])))


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


def write_table(folder: Path, name: str, frame: pd.DataFrame, record: dict) -> Path:
    """Write any other table and its record; returns the path of the table."""
    path = folder / f"{name}.csv"
    with _locked(folder):
        _write(path, _csv(frame))
        _write(path.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
    return path


def json_round_trip(record: dict) -> dict:
    """Give a record as it will be read back: tuples are lists then."""
    return json.loads(json.dumps(record))


def write_page(path: Path, text: str) -> Path:
    """Write a page of text; returns its path."""
    _write(path, text)
    return path


def _csv(frame):
    return frame.to_csv(index=False, lineterminator="\n")


def _write(path, text):
    """Write a file so that it is there whole or not at all."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8", newline=""
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)  # not the private mode of a temporary file
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
