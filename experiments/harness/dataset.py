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
    """A binary classification dataset."""

    X: np.ndarray  # float64, of shape (n_samples, n_features)
    y: np.ndarray  # class labels, of shape (n_samples,)
    classes: tuple[str, str]  # sorted; a network predicts the probability of the second
    features: tuple[str, ...]  # names of the columns of X: those of the header, or "column 1" …
    path: Path
    sha256: str  # checksum of the file
    target: str | None = None  # the class column as given by the user; None is the last one

    def origin(self) -> dict:
        """Describe the dataset in metadata."""
        origin = {"file": self.path.name, "rows": len(self.y), "sha256": self.sha256}
        return origin if self.target is None else origin | {"target": self.target}


def read_dataset(path: Path, *, folds: int, target: str | None = None) -> Dataset:
    """Read a table of numbers with a class column, separated by commas, semicolons or tabs.

    The first line is a header if one of its cells is `target`; or if, outside the class column,
    it has text and no number, and its cell in the class column is not a class of other rows.
    `target` is the class column's name in the header or its number from 1 (default: the last).

    Raise `InputError` if the file cannot be read, a row or cell is invalid (named by line and
    column), there are not two classes, or a class has fewer rows than there are folds.
    """
    table = _Table(path, fewest=2)
    place = table.split_header(target)
    places = [i for i in range(len(table.names)) if i != place]
    X = table.numbers(places)
    y, classes = table.labels(place, folds)
    features = tuple(table.names[i] for i in places)
    return Dataset(X, y, classes, features, path, table.sha256, target)


def read_rows(path: Path, features: Sequence[str]) -> tuple[np.ndarray, list[int], str]:
    """Read the columns that a network was trained on: X, the line of each row, the checksum.

    Columns are matched by name, in any order and among others. Without names in the network or
    the table they are matched by position, and the table must have the same number of columns.
    Raise `InputError` as `read_dataset`, or if columns are missing.
    """
    table = _Table(path, fewest=1)
    named = set(features) <= set(table.names)
    headed = named or _looks_like_header(table.names)
    table.name_columns(headed)
    trained = f"the network was trained on {len(features)}: {_listed(features)}"
    places = range(len(table.names))
    if named or (headed and not all(NUMBERED.fullmatch(name) for name in features)):
        if missing := [name for name in features if name not in table.names]:
            raise InputError(f"{path} has no column {_short(missing[0])}; {trained}")
        places = [table.names.index(name) for name in features]
    elif len(table.names) != len(features):
        raise InputError(f"{path} has {len(table.names)} columns, {trained}")
    return table.numbers(places), table.lines, table.sha256


class _Table:
    """The cells of a file: `rows` of equal width, their `lines`, the first row as `names`."""

    def __init__(self, path, fewest):
        self.path = path
        try:
            if path.exists() and not path.is_file() and not path.is_dir():
                raise InputError(f"{path} is not a file; save the table as one")
            content = path.read_bytes()
            self.text = content.decode("utf-8-sig")
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not a text file") from error
        self.sha256 = hashlib.sha256(content).hexdigest()
        first = next((line for line in self.text.splitlines() if line.strip()), "")
        delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=delimiter, strict=True)
        self.lines, self.rows = [], []
        try:
            for row in reader:
                if any(map(str.strip, row)):
                    self.lines.append(reader.line_num)
                    self.rows.append(row)
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}") from error
        if not self.rows:
            raise InputError(f"{path} is empty")
        width, start = len(self.rows[0]), self.lines[0]
        if width < fewest:
            raise InputError(
                f"{path}, line {start}: one column; numbers and a class are needed, "
                "separated by commas, semicolons or tabs"
            )
        for line, row in zip(self.lines, self.rows, strict=True):
            if len(row) != width:
                differs = f"{len(row)} columns, where line {start} has {width}"
                raise InputError(f"{path}, line {line}: {differs}")
        self.names = [cell.strip() for cell in self.rows[0]]

    def split_header(self, target):
        """Take off a header if there is one; return the position of the class column."""
        path, names, first = self.path, self.names, self.lines[0]
        number = len(names) if target is None else 0  # of the class column, from 1; 0 if named
        if target is not None and target.isdecimal() and len(target) < 9:
            number = int(target)
        headed = _looks_like_header([name for i, name in enumerate(names, 1) if i != number])
        if headed and 1 <= number <= len(names):
            # A first line with a known class label is a row, whatever its other cells are.
            labels = {row[number - 1].strip().casefold() for row in self.rows[1:]}
            headed = names[number - 1].casefold() not in labels
        headed = headed or (target in names and not _is_number(target))
        self.name_columns(headed)
        if headed and "" in names:
            raise InputError(
                f"{path}, line {first}: column {names.index('') + 1} has no name; name it, or "
                "leave it out if it numbers the rows (in pandas: to_csv(…, index=False))"
            )
        if target in self.names:
            return self.names.index(target)
        if 1 <= number <= len(names):
            return number - 1
        columns = f"its {len(names)} columns are {_listed(self.names)}"
        raise InputError(f"{path} has no column {_short(target)}: {columns}")

    def name_columns(self, headed):
        """Take the first row off as a header; number the columns if it is none."""
        if not headed:
            self.names = [f"column {number}" for number in range(1, len(self.names) + 1)]
            return
        if len(self.rows) == 1:
            raise InputError(f"{self.path} has a header and no rows")
        for name in self.names:
            if name and self.names.count(name) > 1:
                raise InputError(f"{self.path}: two columns are named {_short(name)}; rename one")
        self.lines, self.rows = self.lines[1:], self.rows[1:]

    def column(self, place):
        """Describe a column by its number and name."""
        numbered, name = f"column {place + 1}", self.names[place]
        return numbered if name == numbered else f"{numbered} ({_short(name)})"

    def numbers(self, places):
        """Convert columns to numbers; raise for the first cell that is not a number."""
        try:
            X = np.array([[row[place] for place in places] for row in self.rows], np.float64)
        except ValueError:
            X = np.array([[np.nan]])
        if not (np.abs(X) <= LARGEST).all() or "_" in self.text:  # to Python 1_000 is a number
            for line, row in zip(self.lines, self.rows, strict=True):
                for place in places:
                    where = f"{self.path}, line {line}, {self.column(place)}"
                    _check_number(where, row[place].strip())
        for place, size in zip(places, np.abs(X).max(axis=0), strict=True):
            if 0 < size < SMALLEST:
                small = f"no number is as large as {SMALLEST:g}; give it another unit"
                raise InputError(f"{self.path}, {self.column(place)}: {small}")
        return X

    def labels(self, place, folds):
        """Return the class of each row and the classes; raise if they are not two large ones."""
        path, column = self.path, self.names[place]
        y = np.array([row[place].strip() for row in self.rows])
        classes, counts = np.unique(y, return_counts=True)
        if "" in classes:
            line = self.lines[list(y).index("")]
            raise InputError(f"{path}, line {line}: no class in {_short(column)}")
        if len(classes) != 2:
            hint = ""
            if len(classes) == 3 and column == f"column {place + 1}" and (y[1:] != y[0]).all():
                header = f"if line {self.lines[0]} is a header"
                hint = f"; {header}, say so by a class column's name, --target"
            number = f"{_short(column)} has {len(classes)}: {_listed(classes)}"
            raise InputError(f"{path}: two classes are needed, {number}{hint}")
        if counts.min() < folds:
            smallest = f"class {_short(classes[counts.argmin()])} has {counts.min()} rows"
            raise InputError(f"{path}: {smallest}, fewer than the {folds} folds; set fewer folds")
        return y, tuple(classes.tolist())


def _looks_like_header(cells):
    """Return whether there is text and no number; one cell may be blank or sodium's ``Na``."""
    return not any(map(_is_number, cells)) and any(c.casefold() not in MISSING for c in cells)


def _check_number(where, cell):
    if cell.casefold() in MISSING:
        raise InputError(f"{where}: missing value {cell!r}; fill it in or drop the row")
    if not _is_number(cell):
        comma = " (write 0.5, not 0,5)" if _is_number(cell.replace(",", ".", 1)) else ""
        raise InputError(f"{where}: {_short(cell)} is not a number{comma}")
    if not np.isfinite(float(cell)):
        raise InputError(f"{where}: {_short(cell)} is not a finite number")
    if abs(float(cell)) > LARGEST:
        limit = f"larger than {LARGEST:g}; give the column another unit"
        raise InputError(f"{where}: {_short(cell)} is {limit}")


def _is_number(cell):
    try:
        float(cell.replace("_", "?"))
    except ValueError:
        return False
    return True


def _listed(names):
    return ", ".join(map(_short, names[:3])) + (", …" if len(names) > 3 else "")


def _short(cell):
    cell = str(cell)
    return repr(cell if len(cell) <= 20 else cell[:20] + "…")
