"""Read a table of numbers with a class column, and refuse what cannot be right."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.harness.errors import InputError

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
DELIMITERS = ("\t", ";", ",")  # the first of them that the first line has


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
    features : tuple of strings
        Names of the columns of X: the header's, or "column 1" and so on.
    path : Path
    sha256 : str
        Checksum of the file as it was read.
    target : str or None
        The class column as it was asked for; None is the last one.
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, str]
    features: tuple[str, ...]
    path: Path
    sha256: str
    target: str | None = None

    def origin(self) -> dict:
        """Say in a record which data it was."""
        origin = {"file": self.path.name, "rows": len(self.y), "sha256": self.sha256}
        return origin if self.target is None else origin | {"target": self.target}


def read_dataset(path: Path, *, folds: int, target: str | None = None) -> Dataset:
    """Read a table of numbers with a class column, separated by commas, semicolons or tabs.

    The first line is a header if none of its cells is a number.

    Parameters
    ----------
    path : Path
    folds : int
        Rows that every class must have at least.
    target : str, optional
        The class column, by its name in the header or its number from 1; the last one if
        not given.

    Raises
    ------
    InputError
        If the file cannot be read, a row or cell is wrong (named by line and column), the
        labels are not two, or a class has fewer rows than there are folds.
    """
    content, text = _read(path)
    lines, rows = _parse(path, text)
    names, place, lines, rows = _header(path, lines, rows, target)
    X = _numbers(path, text, names, lines, rows, leave_out=place)
    y = np.array([row[place].strip() for row in rows])
    classes, counts = np.unique(y, return_counts=True)
    _check_classes(path, lines, names[place], y, classes, counts, folds)
    features = tuple(names[:place] + names[place + 1 :])
    sha256 = hashlib.sha256(content).hexdigest()
    return Dataset(X, y, tuple(classes.tolist()), features, path, sha256, target)


def read_rows(path: Path, features: Sequence[str]) -> tuple[np.ndarray, list[int], str]:
    """Read the columns that a network was trained on, of a table with or without a class.

    With a header, columns are found by their names if all are there; else the table must
    have just as many columns as there are features.

    Returns
    -------
    X : float64 array of shape (rows, features)
    lines : list of int
        Where in the file each row is.
    sha256 : str

    Raises
    ------
    InputError
        As of `read_dataset`, or if columns are missing.
    """
    content, text = _read(path)
    lines, rows = _parse(path, text, fewest=1)
    names, _, lines, rows = _header(path, lines, rows, labelled=False)
    if names != _numbered(names) and set(features) <= set(
        names
    ):  # perhaps in another order, or among others
        rows = [[row[names.index(name)] for name in features] for row in rows]
        names = list(features)
    if len(names) != len(features):
        raise InputError(
            f"{path} has {len(names)} columns, the network was trained on {len(features)}: "
            + ", ".join(map(_short, features[:3]))
            + (", …" if len(features) > 3 else "")
        )
    return _numbers(path, text, names, lines, rows), lines, hashlib.sha256(content).hexdigest()


def _read(path):
    try:
        content = path.read_bytes()
        return content, content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file") from error


def _parse(path, text, fewest=2):
    """Split into lines of cells, blank lines left out, every row of the same width."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
    if width < fewest:
        raise InputError(
            f"{path}, line {lines[0]}: one column; numbers and a class are needed, "
            "separated by commas, semicolons or tabs"
        )
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise InputError(
                f"{path}, line {line}: {len(row)} columns, where line {lines[0]} has {width}"
            )
    return lines, rows


def _header(path, lines, rows, target=None, labelled=True):
    """Take off a header; gives names, the place of the class column, lines and rows."""
    names = [cell.strip() for cell in rows[0]]
    # A class label at the top of its column is a row's, whatever stands beside it.
    label = {name.casefold() for name in names[-1:]} & {
        row[-1].strip().casefold() for row in rows[1:]
    }
    named = not any(_is_number(name) or name.casefold() in MISSING for name in names)
    if named and not (labelled and label and target is None):
        if len(rows) == 1:
            raise InputError(f"{path} has a header and no rows")
        lines, rows = lines[1:], rows[1:]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{path}: two columns are named {_short(name)}; rename one")
    else:
        names = _numbered(names)
    if target is None:
        place = len(names) - 1
    elif target in names:
        place = names.index(target)
    elif target.isdecimal() and 1 <= int(target) <= len(names):
        place = int(target) - 1
    else:
        known = ", ".join(map(_short, names[:3])) + (", …" if len(names) > 3 else "")
        raise InputError(
            f"{path} has no column {_short(target)}: its {len(names)} columns are {known}"
        )
    return names, place, lines, rows


def _numbers(path, text, names, lines, rows, leave_out=None):
    """Turn all columns but one into numbers; raises for the first cell that is none."""
    kept = [place for place in range(len(names)) if place != leave_out]
    try:
        X = np.array([[row[place] for place in kept] for row in rows], dtype=np.float64)
    except ValueError:
        X = np.array([[np.nan]])
    if np.isfinite(X).all() and "_" not in text:  # Python reads 1_000 as a number
        return X
    for line, row in zip(lines, rows, strict=True):
        for place in kept:
            _check_number(path, line, place, names[place], row[place].strip())
    return X


def _check_number(path, line, place, name, cell):
    where = f"{path}, line {line}, column {place + 1}"
    if name != f"column {place + 1}":
        where += f" ({_short(name)})"
    if cell.casefold() in MISSING:
        raise InputError(f"{where}: missing value {cell!r}; fill it in or drop the row")
    if not _is_number(cell):
        comma = " (write 0.5, not 0,5)" if _is_number(cell.replace(",", ".", 1)) else ""
        raise InputError(f"{where}: {_short(cell)} is not a number{comma}")
    if not np.isfinite(float(cell)):
        raise InputError(f"{where}: {_short(cell)} is not a finite number")


def _numbered(names):
    """Name the columns of a table that has no header."""
    return [f"column {number}" for number in range(1, len(names) + 1)]


def _is_number(cell):
    try:
        float(cell.replace("_", "?"))
    except ValueError:
        return False
    return True


def _check_classes(path, lines, column, y, classes, counts, folds):
    if "" in classes:
        line = lines[list(y).index("")]
        raise InputError(f"{path}, line {line}: no class in {_short(column)}")
    if len(classes) != 2:
        names = ", ".join(map(_short, classes[:3])) + (", …" if len(classes) > 3 else "")
        raise InputError(
            f"{path}: two classes are needed, {_short(column)} has {len(classes)}: {names}"
        )
    if counts.min() < folds:
        raise InputError(
            f"{path}: class {_short(classes[counts.argmin()])} has {counts.min()} rows, "
            f"fewer than the {folds} folds; set fewer folds"
        )


def _short(cell):
    cell = str(cell)
    return repr(cell if len(cell) <= 20 else cell[:20] + "…")
