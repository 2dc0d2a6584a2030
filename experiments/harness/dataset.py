"""Read and validate a table of numbers with a class column."""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.harness.errors import InputError

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
NUMBERED = re.compile(r"column \d+")  # the names given to columns without a name
SMALLEST, LARGEST = 1e-30, 1e30  # of a column's numbers: what single precision can hold
DELIMITERS = ("\t", ";", ",")  # the first of them that the first line has


@dataclass(frozen=True)
class Dataset:
    """A binary classification dataset.

    Attributes
    ----------
    X : float64 array of shape (n_samples, n_features)
    y : string array of shape (n_samples,)
        Class labels.
    classes : tuple of two strings
        The labels, sorted; the second is the one whose probability a network predicts.
    features : tuple of strings
        Names of the columns of X: those of the header, or "column 1" and so on.
    path : Path
    sha256 : str
        Checksum of the file.
    target : str or None
        The class column as given by the user; None is the last one.
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, str]
    features: tuple[str, ...]
    path: Path
    sha256: str
    target: str | None = None

    def origin(self) -> dict:
        """Describe the dataset in metadata."""
        origin = {"file": self.path.name, "rows": len(self.y), "sha256": self.sha256}
        return origin if self.target is None else origin | {"target": self.target}


def read_dataset(path: Path, *, folds: int, target: str | None = None) -> Dataset:
    """Read a table of numbers with a class column, separated by commas, semicolons or tabs.

    The first line is a header if one of its cells is `target`; or if, outside the class column,
    it has text and no number, and its cell in the class column is not a class of other rows.

    Parameters
    ----------
    path : Path
    folds : int
        Minimum number of rows of each class.
    target : str, optional
        The class column, by its name in the header or its number from 1 (default: the last).

    Raises
    ------
    InputError
        If the file cannot be read, a row or cell is invalid (named by line and column), there
        are not two classes, or a class has fewer rows than there are folds.
    """
    content, text = _read(path)
    lines, rows = _parse(path, text)
    names, place, lines, rows = _header(path, lines, rows, target)
    X = _numbers(path, text, names, lines, rows, [i for i in range(len(names)) if i != place])
    y = np.array([row[place].strip() for row in rows])
    classes, counts = np.unique(y, return_counts=True)
    _check_classes(path, lines, names[place], place, y, classes, counts, folds)
    features = tuple(names[:place] + names[place + 1 :])
    sha256 = hashlib.sha256(content).hexdigest()
    return Dataset(X, y, tuple(classes.tolist()), features, path, sha256, target)


def read_rows(path: Path, features: Sequence[str]) -> tuple[np.ndarray, list[int], str]:
    """Read the columns that a network was trained on.

    Columns are matched by name, in any order and among others. Without names in the network or
    the table they are matched by position, and the table must have the same number of columns.

    Returns
    -------
    X : float64 array of shape (n_samples, n_features)
    lines : list of int
        Line of each row in the file.
    sha256 : str

    Raises
    ------
    InputError
        As `read_dataset`, or if columns are missing.
    """
    content, text = _read(path)
    lines, rows = _parse(path, text, fewest=1)
    names = [cell.strip() for cell in rows[0]]
    named = set(features) <= set(names)
    headed = named or _looks_like_header(names)
    if headed:
        names, lines, rows = _take_header(path, lines, rows)
    else:
        names = _numbered(names)
    trained = f"the network was trained on {len(features)}: {_listed(features)}"
    places = range(len(names))
    if named or (headed and not all(NUMBERED.fullmatch(name) for name in features)):
        if missing := [name for name in features if name not in names]:
            raise InputError(f"{path} has no column {_short(missing[0])}; {trained}")
        places = [names.index(name) for name in features]
    elif len(names) != len(features):
        raise InputError(f"{path} has {len(names)} columns, {trained}")
    X = _numbers(path, text, names, lines, rows, places)
    return X, lines, hashlib.sha256(content).hexdigest()


def _read(path):
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path} is not a file; save the table as one")
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


def _header(path, lines, rows, target):
    """Split off a header; return names, position of the class column, lines and rows."""
    names = [cell.strip() for cell in rows[0]]
    first = lines[0]
    number = _column_number(target, len(names))
    headed = _looks_like_header([name for i, name in enumerate(names, 1) if i != number])
    if headed and 1 <= number <= len(names):
        # A first line with a known class label is a row, whatever its other cells are.
        top = names[number - 1].casefold()
        headed = top not in {row[number - 1].strip().casefold() for row in rows[1:]}
    if headed or (target in names and not _is_number(target)):
        names, lines, rows = _take_header(path, lines, rows)
        if "" in names:
            raise InputError(
                f"{path}, line {first}: column {names.index('') + 1} has no name; name it, or "
                "leave it out if it numbers the rows (in pandas: to_csv(…, index=False))"
            )
    else:
        names = _numbered(names)
    if target is None:
        place = len(names) - 1
    elif target in names:
        place = names.index(target)
    elif 1 <= number <= len(names):
        place = number - 1
    else:
        raise InputError(
            f"{path} has no column {_short(target)}: its {len(names)} columns are {_listed(names)}"
        )
    return names, place, lines, rows


def _column_number(target, last):
    """Return the number of a class column given by its number, from 1; 0 if it is a name."""
    if target is None:
        return last
    return int(target) if target.isdecimal() and len(target) < 9 else 0


def _looks_like_header(cells):
    """Return whether there is text and no number; one cell may be blank or sodium's ``Na``."""
    numbers = any(_is_number(cell) for cell in cells)
    return not numbers and any(cell.casefold() not in MISSING for cell in cells)


def _take_header(path, lines, rows):
    names = [cell.strip() for cell in rows[0]]
    if len(rows) == 1:
        raise InputError(f"{path} has a header and no rows")
    for name in names:
        if name and names.count(name) > 1:
            raise InputError(f"{path}: two columns are named {_short(name)}; rename one")
    return names, lines[1:], rows[1:]


def _numbers(path, text, names, lines, rows, places):
    """Convert columns to numbers; raise for the first cell that is not a number."""
    try:
        X = np.array([[row[place] for place in places] for row in rows], dtype=np.float64)
    except ValueError:
        X = np.array([[np.nan]])
    if not (np.abs(X) <= LARGEST).all() or "_" in text:  # Python reads 1_000 as a number
        for line, row in zip(lines, rows, strict=True):
            for place in places:
                _check_number(path, line, place, names[place], row[place].strip())
    for place, size in zip(places, np.abs(X).max(axis=0), strict=True):
        if 0 < size < SMALLEST:
            raise InputError(
                f"{path}, {_column(place, names[place])}: no number is as large as "
                f"{SMALLEST:g}; give it another unit"
            )
    return X


def _check_number(path, line, place, name, cell):
    where = f"{path}, line {line}, {_column(place, name)}"
    if cell.casefold() in MISSING:
        raise InputError(f"{where}: missing value {cell!r}; fill it in or drop the row")
    if not _is_number(cell):
        comma = " (write 0.5, not 0,5)" if _is_number(cell.replace(",", ".", 1)) else ""
        raise InputError(f"{where}: {_short(cell)} is not a number{comma}")
    if not np.isfinite(float(cell)):
        raise InputError(f"{where}: {_short(cell)} is not a finite number")
    if abs(float(cell)) > LARGEST:
        raise InputError(
            f"{where}: {_short(cell)} is larger than {LARGEST:g}; give the column another unit"
        )


def _column(place, name):
    numbered = f"column {place + 1}"
    return numbered if name == numbered else f"{numbered} ({_short(name)})"


def _numbered(names):
    """Return column names for a table without a header."""
    return [f"column {number}" for number in range(1, len(names) + 1)]


def _is_number(cell):
    try:
        float(cell.replace("_", "?"))
    except ValueError:
        return False
    return True


def _check_classes(path, lines, column, place, y, classes, counts, folds):
    if "" in classes:
        line = lines[list(y).index("")]
        raise InputError(f"{path}, line {line}: no class in {_short(column)}")
    if len(classes) != 2:
        hint = ""
        if len(classes) == 3 and column == f"column {place + 1}" and (y[1:] != y[0]).all():
            hint = f"; if line {lines[0]} is a header, say so by a class column's name, --target"
        raise InputError(
            f"{path}: two classes are needed, {_short(column)} has {len(classes)}: "
            f"{_listed(classes)}{hint}"
        )
    if counts.min() < folds:
        raise InputError(
            f"{path}: class {_short(classes[counts.argmin()])} has {counts.min()} rows, "
            f"fewer than the {folds} folds; set fewer folds"
        )


def _listed(names):
    return ", ".join(map(_short, names[:3])) + (", …" if len(names) > 3 else "")


def _short(cell):
    cell = str(cell)
    return repr(cell if len(cell) <= 20 else cell[:20] + "…")
