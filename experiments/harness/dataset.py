"""Read a table of numbers with a class column, and refuse what cannot be right."""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.harness.errors import InputError

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}


@dataclass(frozen=True)
class Dataset:
    """A binary classification table.

    Attributes
    ----------
    X : float64 array of shape (rows, features)
    y : string array of shape (rows,)
        Class labels.
    classes : tuple of two strings
        The labels, sorted; the second is the one whose probability a network predicts.
    path : Path
    sha256 : str
        Checksum of the file as it was read.
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, str]
    path: Path
    sha256: str


def read_dataset(path: Path, *, folds: int) -> Dataset:
    """Read a comma-separated file without a header, its last column the class.

    Raises
    ------
    InputError
        If the file cannot be read, a row or cell is wrong (named by line and column), the
        labels are not two, or a class has fewer rows than there are folds.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file") from error
    lines, rows = _parse(path, text)
    try:
        X = np.array([row[:-1] for row in rows], dtype=np.float64)
    except ValueError:
        X = np.array([[np.nan]])
    if not np.isfinite(X).all() or "_" in text:  # Python reads 1_000 as a number
        _blame(path, lines, rows)
    y = np.array([row[-1].strip() for row in rows])
    classes, counts = np.unique(y, return_counts=True)
    _check_classes(path, lines, y, classes, counts, folds)
    return Dataset(X, y, tuple(classes.tolist()), path, hashlib.sha256(content).hexdigest())


def _parse(path, text):
    """Split into lines of cells, blank lines left out, every row of the same width."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines, rows = [], []
    try:
        for row in reader:
            if row and any(cell.strip() for cell in row):
                lines.append(reader.line_num)
                rows.append(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise InputError(f"{path} is empty")
    width = len(rows[0])
    if width < 2:
        raise InputError(
            f"{path}, line {lines[0]}: one column; numbers and a class are needed, "
            "separated by commas"
        )
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise InputError(
                f"{path}, line {line}: {len(row)} columns, where line {lines[0]} has {width}"
            )
    return lines, rows


def _blame(path, lines, rows):
    """Raise for the first cell that is not a finite number."""
    for line, row in zip(lines, rows, strict=True):
        for column, cell in enumerate(row[:-1], start=1):
            cell = cell.strip()
            where = f"{path}, line {line}, column {column}"
            if cell.lower() in MISSING:
                raise InputError(f"{where}: missing value {cell!r}; fill it in or drop the row")
            try:
                number = float(cell.replace("_", "?"))
            except ValueError:
                raise InputError(f"{where}: {_short(cell)} is not a number") from None
            if not np.isfinite(number):
                raise InputError(f"{where}: {_short(cell)} is not a finite number")


def _check_classes(path, lines, y, classes, counts, folds):
    last = "the last column"
    if "" in classes:
        raise InputError(f"{path}, line {lines[list(y).index('')]}: {last} has no class")
    if len(classes) != 2:
        names = ", ".join(map(_short, classes[:3])) + (", …" if len(classes) > 3 else "")
        raise InputError(f"{path}: two classes are needed, {last} has {len(classes)}: {names}")
    if counts.min() < folds:
        raise InputError(
            f"{path}: class {_short(classes[counts.argmin()])} has {counts.min()} rows, "
            f"fewer than the {folds} folds; set fewer folds"
        )


def _short(cell):
    cell = str(cell)
    return repr(cell if len(cell) <= 20 else cell[:20] + "…")
