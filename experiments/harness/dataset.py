"""Decide what the columns of a table are: to predict, features, or neither; say what was read."""

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from experiments.harness import columns
from experiments.harness.errors import InputError, printable
from experiments.harness.table import read_table

CLASS_NAMES = {"class", "target", "label", "y"}  # of the class column, if one is called so
ID_NAMES = {"id", "unnamed: 0", "__index_level_0__"}
LOOKS_LIKE_ID = re.compile(r"(^|[\W_])(id|no|nr|number|code|key)$|[a-z](Id|ID)$", re.I)
NUMBERED = re.compile(r"column \d+")  # the names given to columns without a name
SMALLEST, LARGEST = 1e-30, 1e30  # of a column's numbers: what single precision can hold
FEWEST_ROWS = 10  # in which a column can be told to number them, or to repeat the class
MOST_CLASSES = 100
SAME_NUMBER = 0.9999  # correlation with the number to predict: a column is that number again
SEEN_ROWS, SEEN_COLUMNS = 1000, 1000  # to tell a header


@dataclass(frozen=True)
class Dataset:
    """Features and a class or a number to predict from them."""

    X: np.ndarray | pd.DataFrame  # (n_samples, n_features); a frame if there is text or a gap
    y: np.ndarray  # class labels or numbers, of shape (n_samples,)
    classes: tuple[str, ...]  # sorted; none if numbers are to be predicted
    features: tuple[str, ...]  # names of the columns of X: those of the header, or "column 1" …
    path: Path
    sha256: str  # checksum of the file
    asked: dict[str, object] = field(default_factory=dict)  # options of reading, as given
    target: str = ""  # name of the column to predict
    categories: tuple[str, ...] = ()  # names of the features that are text
    left_out: dict[str, str] = field(default_factory=dict)  # names of columns: the reason
    notes: tuple[str, ...] = ()

    def origin(self) -> dict:
        """Describe the dataset in metadata."""
        origin = {"file": self.path.name, "rows": len(self.y), "sha256": self.sha256}
        return origin | self.asked

    @property
    def needs_preparation(self) -> bool:
        """Whether the features have text or missing cells."""
        return isinstance(self.X, pd.DataFrame)

    @property
    def task(self) -> str:
        """What to predict: "classification" or "regression"."""
        return "classification" if self.classes else "regression"

    @property
    def n_missing(self) -> int:
        """Number of missing cells among the features."""
        if not self.needs_preparation:
            return 0
        text = self.X[list(self.categories)]
        return int(self.X.isna().sum().sum() + (text == "").sum().sum())

    def guessing(self) -> dict:
        """Return the largest class, and the accuracy of always guessing it; of numbers the R²."""
        if not self.classes:
            return {"r2": 0.0}
        counts = pd.Series(self.y).value_counts()
        return {"label": counts.idxmax(), "accuracy": counts.max() / len(self.y)}

    def describe(self) -> list[str]:
        """Say what was read: one line, and one for each note."""
        n_categories = len(self.categories)
        kinds = [_count(len(self.features) - n_categories, "number")]
        kinds += [_count(n_categories, "category", "categories")] if n_categories else []
        kinds += [_count(self.n_missing, "missing cell")] if self.n_missing else []
        parts = [f"{printable(self.path.name)}: {_count(len(self.y), 'row')}", ", ".join(kinds)]
        parts.append(self._describe_target())
        if self.left_out:
            reasons = {}
            for column, reason in self.left_out.items():
                reasons.setdefault(reason, []).append(column)
            parts.append("left out: " + ", ".join(map(_reason, reasons, reasons.values())))
        return ["; ".join(parts), *(f"  note: {note}" for note in self.notes)]

    def _describe_target(self):
        target = f'"{printable(self.target)}"'
        if not self.classes:
            numbers = describe_numbers(self.y)
            return f"number to predict {target} ({numbers}; always guessing the mean: R² 0)"
        counts, guess = pd.Series(self.y).value_counts(), self.guessing()
        sizes = [f"{printable(each)}: {counts[each]}" for each in self.classes[:10]]
        sizes += ["…"] if len(self.classes) > 10 else []
        guessing = f"always guessing {printable(guess['label'])}: {guess['accuracy']:.1%}"
        return f"class {target} ({', '.join(sizes)}; {guessing})"


def read_dataset(
    path: Path,
    *,
    folds: int,
    target: str | None = None,
    task: str = "classification",
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    drop_unlabelled: bool = False,
) -> Dataset:
    """Read a table of features and a class, or a number if `task` is "regression".

    `target` is the column to predict, by its name in the header or its number from 1; without
    it, the only column named class, target, label or y, or else the last one. Features that
    identify the rows, say nothing, or repeat that column are left out or refused; `keep` and
    `drop` overrule that, by names or numbers.

    Raise `InputError` if the file cannot be read, or its columns cannot be used as they are.
    """
    reader = _Reader(path, target, task=task)
    place = reader.target_place()
    kept, dropped = ({reader.place(name) for name in names} for names in (keep, drop))
    reader.keep_labelled(place, drop_unlabelled)
    if task == "regression":
        y, classes = reader.numbers(place), ()
    else:
        y, classes = reader.labels(place)
    features = reader.features(place, y, len(classes), kept, dropped)
    if classes:
        reader.check_classes(place, y, folds)
    elif len(y) < 2 * folds:
        few = f"{_count(len(y), 'row')}, too few for {folds} folds of two rows or more"
        raise InputError(f"{path}: {few}; set fewer folds")
    if not features:
        raise InputError(f"{path} has no features, only the column to predict")
    categories = tuple(name for name, values in features.items() if values.dtype == object)
    whole = not categories and not any(np.isnan(values).any() for values in features.values())
    asked = {"target": target, "task": task if task == "regression" else None}
    asked |= {"keep": list(keep), "drop": list(drop), "drop_unlabelled": drop_unlabelled}
    names = tuple(features)
    return Dataset(
        _as_array(features) if whole else pd.DataFrame(features),
        y,
        classes,
        names,
        path,
        reader.sha256,
        {name: value for name, value in asked.items() if value},
        reader.names[place],
        categories,
        reader.left_out,
        tuple(reader.notes),
    )


def _as_array(features):
    """Move columns into one array: to hold them twice takes much memory."""
    array = np.empty((len(next(iter(features.values()))), len(features)))
    for number, name in enumerate([*features]):
        array[:, number] = features.pop(name)
    return array


class Rows(NamedTuple):
    """Rows to predict."""

    X: np.ndarray | pd.DataFrame  # a frame if the network knows categories or missing cells
    lines: list[int]  # of the file
    sha256: str  # checksum of the file
    unknown: dict[str, int]  # names of features: the number of unknown categories


def read_rows(
    path: Path, features: Sequence[str], categories: Mapping[str, Sequence[str]] | None = None
) -> Rows:
    """Read the columns that a network was trained on.

    Columns are matched by name, in any order and among others. Without names in the network or
    the table they are matched by position if there are as many, or else by number: the table is
    like that which the network was trained on.
    `categories` are those known of each feature of text; None if the network was trained on
    whole numbers only.

    Raise `InputError` as `read_dataset`, or if columns are missing.
    """
    reader = _Reader(path, None, fewest=1, known=features)
    places = reader.places(features)
    found, unknown = {}, {}
    for name, place in zip(features, places, strict=True):
        if name in (categories or {}):
            found[name] = columns.to_text(reader.columns[place])
            if number := int((~np.isin(found[name].astype(str), categories[name])).sum()):
                unknown[name] = number
        else:
            found[name] = reader.numbers(place, may_miss=categories is not None)
    X = np.column_stack([*found.values()]) if categories is None else pd.DataFrame(found)
    return Rows(X, [reader.line(row) for row in range(reader.n_rows)], reader.sha256, unknown)


class _Reader:
    """A table's columns, the header taken off; raises what is wrong with a column by its name."""

    def __init__(self, path, target, fewest=2, known=(), task="classification"):
        self.numeric = task == "regression"  # the column to predict
        self.what = "number to predict" if self.numeric else "class"
        table = read_table(path)
        self.columns, self.table = list(table.columns), replace(table, columns=())
        self.path, self.target, self.sha256 = path, target, table.sha256
        self.left_out, self.notes = {}, []
        if table.notes:
            self.notes.append(f"left out: {', '.join(table.notes)}")
        if not len(self.columns[0]):
            raise InputError(f"{path} is empty")
        if len(self.columns) < fewest:
            raise InputError(
                f"{path}: one column; features and a {self.what} are needed, separated by "
                "commas, semicolons, tabs, bars or spaces"
            )
        self.rows = None  # positions among the table's rows; None: all
        self.skipped = 0  # rows before the first
        self.headed = table.names is not None
        self.names = [name.strip() for name in table.names or ()]
        if not self.headed:
            self._take_header(known)
        self.names = [unicodedata.normalize("NFC", name) for name in self.names]
        if repeated := [name for name, times in Counter(self.names).items() if times > 1]:
            raise InputError(f"{path}: two columns are named {_short(repeated[0])}; rename one")
        self.n_rows = len(self.columns[0])
        self._drop_empty_columns()

    def _take_header(self, known):
        """Take off the first row if it is a header, and name the columns."""
        first = [column[0].as_py() for column in self.columns]
        counted = _counts(first)
        self.headed = counted or (bool(known) and set(known) <= set(first))
        self.headed = self.headed or self._has_header(first)
        if self.headed:
            if len(self.columns[0]) == 1:
                raise InputError(f"{self.path} has a header and no rows")
            self.columns, self.skipped = [column[1:] for column in self.columns], 1
        names = first if self.headed and not counted else [""] * len(first)
        self.names = [name or f"column {number}" for number, name in enumerate(names, 1)]
        if self.headed and not first[0]:
            self.names[0] = "Unnamed: 0"  # row names, as pandas calls them

    def _has_header(self, first):
        """Return whether the first row is a header: it has text that no other row has.

        In a column of numbers it is text where all other rows have numbers; it repeats no cell
        of its column. The target's name in it says so, too.
        """
        words = {*np.flatnonzero(columns.is_text(first)).tolist()}
        missing = columns.is_missing(pa.chunked_array([first])).to_numpy()
        if len(self.columns[0]) == 1:
            return len(words) == sum(map(bool, first)) > 0
        if any(pc.any(pc.equal(self.columns[i][1:], first[i])).as_py() for i in words):
            return False
        called = [first[i] for i in words]
        if _counts([cell for i, cell in enumerate(first) if i not in words]):
            return True  # pandas' names of columns, but for some
        if self.target in called or sum(cell.casefold() in CLASS_NAMES for cell in called) == 1:
            return True
        over_numbers = over_text = of_data = 0
        for i, column in list(enumerate(self.columns))[:SEEN_COLUMNS]:
            below = column[1 : SEEN_ROWS + 1]
            if columns.to_numbers(below, self.table.decimal_comma)[1].any():
                over_text += i in words and pc.count_distinct(below).as_py() < len(below)
            elif i in words:
                over_numbers += 1
            elif not missing[i]:  # sodium is written as Na
                of_data += 1
        return over_numbers > of_data or (not of_data and over_text > 0)

    def _drop_empty_columns(self):
        first = [column[0].as_py() for column in self.columns]
        for place in np.flatnonzero(columns.is_missing(pa.chunked_array([first])).to_numpy()):
            if pc.all(columns.is_missing(self.columns[place])).as_py():
                self.left_out[self.names[place]] = "without any value"
        if len(self.left_out) == len(self.names):
            raise InputError(f"{self.path} has no values")

    def line(self, row):
        """Return the line of the file that a row stands on."""
        row = row if self.rows is None else self.rows[row]
        return int(self._lines[row + self.skipped])

    @functools.cached_property
    def _lines(self):
        return self.table.lines()

    def column(self, place):
        """Describe a column by its number and name."""
        numbered, name = f"column {place + 1}", self.names[place]
        return numbered if name == numbered else f"{numbered} ({_short(name)})"

    def place(self, name):
        """Return the position of a column given by name or number."""
        name = unicodedata.normalize("NFC", name)
        if name in self.names:
            return self.names.index(name)
        if name.isdecimal() and len(name) < 9 and 1 <= int(name) <= len(self.names):
            return int(name) - 1
        listed = f"its {len(self.names)} columns are {_listed(self.names)}"
        raise InputError(f"{self.path} has no column {_short(name)}: {listed}")

    def places(self, features):
        """Return the positions of the columns that a network was trained on."""
        names = {name: place for place, name in enumerate(self.names)}
        unnamed = not self.headed or all(NUMBERED.fullmatch(name) for name in features)
        missing = [name for name in features if name not in names]
        if missing and unnamed and len(names) == len(features):
            return range(len(features))
        if missing:
            trained = f"the network was trained on {len(features)}: {_listed(features)}"
            has = f"{len(names)} columns" if unnamed else f"no column {_short(missing[0])}"
            raise InputError(f"{self.path} has {has}, {trained}")
        return [names[name] for name in features]

    def target_place(self):
        """Return the position of the column to predict; raise if it cannot be that."""
        if self.target is not None:
            place = self.place(self.target)
        else:
            called = [i for i, each in enumerate(self.names) if each.casefold() in CLASS_NAMES]
            there = [i for i, name in enumerate(self.names) if name not in self.left_out]
            place = called[0] if len(called) == 1 else there[-1]
        if reason := self._no_target(place):
            reason = f"cannot be the {self.what}: {reason}"
            raise InputError(f"{self.path}: {self.column(place)} {reason}{self._could_be(place)}")
        return place

    def _no_target(self, place):
        """Return why a column cannot be the one to predict, or None."""
        return self._no_number(place) if self.numeric else self._no_class(place)

    def _no_number(self, place):
        numbers, wrong = columns.to_numbers(self.columns[place], self.table.decimal_comma)
        if wrong.any():
            row = int(wrong.argmax())
            return f"{self._cell(place, row)} in line {self.line(row)} is not a number"
        if np.nanmin(numbers, initial=np.inf) == np.nanmax(numbers, initial=-np.inf):
            return "it is the same on every row"
        return None

    def _no_class(self, place):
        column = self.columns[place]
        column = column.filter(pc.invert(columns.is_missing(column)))
        numbers, wrong = columns.to_numbers(column, self.table.decimal_comma)
        numeric = not wrong.any()
        n_values = len(np.unique(numbers)) if numeric else pc.count_distinct(column).as_py()
        reason = f"it has {n_values} different values in {len(column)} rows"
        if n_values > max(2, min(MOST_CLASSES, len(column) // 2)):
            return reason
        if numeric and n_values > 2 and (numbers % 1 != 0).any():
            return reason
        return None

    def _could_be(self, wrong):
        """Name the columns that could be the one to predict, and say how to choose one."""
        few, many = (20, np.inf) if self.numeric else (2, 20)
        could = [
            place
            for place, column in enumerate(self.columns)
            if self.names[place] not in self.left_out
            and few <= pc.count_distinct(column).as_py() <= many
            and not self._no_target(place)
        ]
        text = [p for p in could if columns.to_numbers(self.columns[p])[1].any()]
        could, hints = (text or could)[:5], []
        if could:
            say = f"TARGET={self._given(could[0]) if len(could) == 1 else '…'}"
            could = ", ".join(map(self.column, could))
            hints.append(f"say which column is: {say} ({could} could be)")
        if not self.numeric and not self._no_number(wrong):
            hints.append("to predict this number: make tune TASK=regression")
        return "".join(f"; {hint}" for hint in hints)

    def keep_labelled(self, place, drop_unlabelled):
        """Leave out rows without a value to predict, or refuse them."""
        also = columns.NO_NUMBER if self.numeric else columns.MISSING
        missing = columns.is_missing(self.columns[place], also)
        number = pc.sum(missing).as_py()
        if not number:
            return
        if not drop_unlabelled:
            rows = np.flatnonzero(missing.to_numpy())
            lines = ", ".join(str(self.line(row)) for row in rows[:3])
            lines += ", …" if number > 3 else ""
            rows = _count(number, "row")
            raise InputError(
                f"{self.path}: {self.column(place)} is to be predicted, and {rows} "
                f"{'lacks' if number == 1 else 'lack'} it (line {lines}); "
                "DROP_UNLABELLED=1 leaves such rows out"
            )
        if number == self.n_rows:
            raise InputError(f"{self.path}: no row has a value in {self.column(place)}")
        self.rows = np.flatnonzero(~missing.to_numpy())
        self.columns = [column.filter(pc.invert(missing)) for column in self.columns]
        self.n_rows -= number
        self.notes.append(f"{_count(number, 'row')} without a {self.what} left out")

    def labels(self, place):
        """Return the class of each row, and the classes."""
        y = columns.to_text(self.columns[place])
        numbers, _ = columns.to_numbers(self.columns[place])
        exact = np.abs(numbers) < 2**53
        if len(np.unique(numbers[exact])) < len(set(y[exact])):
            y[exact] = [f"{number:.15g}" for number in numbers[exact]]  # 1 and 1.0
        classes = sorted(set(y))
        if len({label.casefold() for label in classes}) < len(classes):
            self.notes.append("some classes differ in upper and lower case only")
        return y.astype(str), tuple(classes)

    def check_classes(self, place, y, folds):
        """Raise if there are fewer than two classes, or too few rows of one."""
        counts = pd.Series(y).value_counts()
        column, name = self.columns[place], self.column(place)
        if len(counts) < 2:
            only = f"{name} has one class only: {_short(y[0])}"
            raise InputError(f"{self.path}: {only}; there must be two or more")
        if counts.min() >= folds:
            return
        rare = f"class {_short(counts.idxmin())} has {_count(counts.min(), 'row')}"
        hint = "set fewer folds, or leave such rows out"
        if (
            not self.headed
            and counts.min() == 1
            and column[0].as_py() not in column[1:].to_pylist()
        ):
            hint = "if line 1 is a header, say so by the name of the class column, TARGET=…"
        raise InputError(f"{self.path}: {rare}, fewer than the {folds} folds; {hint}")

    def features(self, target, y, n_classes, kept, dropped):
        """Return the columns to learn from, by name: arrays of float64, or of text."""
        codes = pd.factorize(y)[0]
        found = {}
        for place, name in enumerate(self.names):
            if place == target or name in self.left_out:
                continue
            if place in dropped:
                self.left_out[name] = "as you said"
                continue
            values = self._feature(place, keep=place in kept)
            reason = None if place in kept else self._no_feature(place, values)
            if reason:
                self.left_out[name] = reason
            else:
                found[name] = values
                if place not in kept and n_classes:
                    self._check_leak(place, values, codes, n_classes)
                elif place not in kept:
                    self._check_same_number(place, values, y)
            self.columns[place] = None  # the cells take more memory than the values
        return found

    def _feature(self, place, keep):
        """Return a column's numbers or text."""
        column = self.columns[place]
        values, wrong = columns.to_numbers(column, self.table.decimal_comma)
        if not wrong.any():
            return self.numbers(place, values=values)
        n_numbers = np.isfinite(values).sum()
        if not keep and (
            n_numbers > wrong.sum()
            or (self.table.decimal_comma and columns.ambiguous(column))
            or columns.with_unit(column)
        ):
            self._raise_not_number(place, int(wrong.argmax()))
        return columns.to_text(column)

    def _raise_not_number(self, place, row):
        column, cell = self.columns[place], self.columns[place][row].as_py()
        where = f"{self.path}, line {self.line(row)}, {self.column(place)}"
        if columns.ambiguous(column):
            dot, without = cell.replace(",", "."), cell.replace(",", "")
            raise InputError(f"{where}: is {_short(cell)} {without} or {dot}? write it that way")
        if columns.with_unit(column):
            raise InputError(f"{where}: {_short(cell)} is not a plain number; leave out the sign")
        raise InputError(
            f"{where}: {_short(cell)} is not a number, as most cells there are; mend it, or "
            f"take the column as text: KEEP={self._given(place)}"
        )

    def _cell(self, place, row):
        return _short(self.columns[place][row].as_py())

    def _given(self, place):
        name = self.names[place]
        plain = re.fullmatch(r"[\w.-]+", name) and not NUMBERED.fullmatch(name)
        return name if plain else place + 1

    def numbers(self, place, may_miss=True, values=None):
        """Return a column's numbers; raise for the first cell that is none, or is too large."""
        if values is None:
            values, wrong = columns.to_numbers(self.columns[place], self.table.decimal_comma)
            if wrong.any():
                row = int(wrong.argmax())
                where = f"{self.path}, line {self.line(row)}, {self.column(place)}"
                raise InputError(f"{where}: {self._cell(place, row)} is not a number")
        sizes = np.abs(values)
        if not may_miss and np.isnan(sizes).any():
            line = self.line(int(np.isnan(sizes).argmax()))
            raise InputError(f"{self.path}, line {line}, {self.column(place)}: missing value")
        largest = np.nanmax(sizes, initial=0)
        if largest > LARGEST:
            row = int(np.nanargmax(sizes))
            cell, line = self._cell(place, row), self.line(row)
            finite = np.isfinite(largest)
            limit = f"larger than {LARGEST:g}; give the column another unit"
            wrong = limit if finite else "not a finite number"
            raise InputError(f"{self.path}, line {line}, {self.column(place)}: {cell} is {wrong}")
        if 0 < largest < SMALLEST:
            small = f"no number is as large as {SMALLEST:g}; give it another unit"
            raise InputError(f"{self.path}, {self.column(place)}: {small}")
        return values

    def _no_feature(self, place, values):
        """Return why a column is left out, or None; note what looks like an id."""
        name, n_rows = self.names[place], self.n_rows
        if name.casefold() in ID_NAMES:
            return "an id"
        if (values[1:] == values[0]).all():
            return "the same on every row"
        if n_rows < FEWEST_ROWS:
            return None
        if values.dtype == object:
            return "text that differs on every row" if len(set(values)) == n_rows else None
        if (values[:1000] % 1 != 0).any() or (values % 1 != 0).any():
            return None
        n_values = len(np.unique(values))
        if n_values == n_rows and values.max() - values.min() == n_rows - 1:
            return "a number for each row"
        if LOOKS_LIKE_ID.search(name) or (n_values > 0.9 * n_rows and values.min() >= 1000):
            different = f"{n_values} different whole numbers in {n_rows} rows"
            drop = f"DROP={self._given(place)} leaves it out"
            self.notes.append(f"{self.column(place)} looks like an id ({different}); {drop}")
        return None

    def _check_leak(self, place, values, codes, n_classes):
        """Raise if a column has the class of every row, or whether it is one of the classes."""
        few = len(values) < FEWEST_ROWS or n_classes < 2
        if few or pd.Series(values[:1000]).nunique(dropna=False) > n_classes:
            return
        values = pd.factorize(values, use_na_sentinel=False)[0]
        n_values = values.max() + 1
        pairs = np.unique(np.column_stack([values, codes]), axis=0)
        mirror = n_values == n_classes and len(pairs) == n_classes
        one_of = n_values == 2 and len(pairs) == n_classes and (np.bincount(pairs[:, 0]).min() == 1)
        if mirror or one_of:
            self._raise_leak(place)

    def _check_same_number(self, place, values, y):
        """Raise if a column is the number to predict again, perhaps in another unit."""
        if values.dtype == object or len(y) < FEWEST_ROWS:
            return
        present = np.isfinite(values)
        x, y = values[present], y[present]
        if 2 * len(x) < len(present) or np.ptp(x) == 0 or np.ptp(y) == 0:
            return
        if abs(np.corrcoef(x / np.abs(x).max(), y / np.abs(y).max())[0, 1]) > SAME_NUMBER:
            self._raise_leak(place)

    def _raise_leak(self, place):
        tells = f"{self.column(place)} says the {self.what} again"
        drop = f"leave it out: DROP={self._given(place)} (KEEP={self._given(place)} to use it)"
        raise InputError(f"{self.path}: {tells}; {drop}")


def describe_numbers(numbers: np.ndarray) -> str:
    """Say between which numbers an array lies, and its mean, to three digits of its range."""
    low, high, mean = numbers.min(), numbers.max(), numbers.mean()
    size = max(abs(low), abs(high), 1e-300)
    spread = max(high - low, 1e-9 * size)
    digits = max(0, 2 - math.floor(math.log10(spread)))
    plain = digits <= 6 and size < 1e15
    low, high, mean = (
        re.sub(r"\.0+$", "", f"{each:,.{digits}f}") if plain else f"{each:.3g}"
        for each in (low, high, mean)
    )
    return f"{low} to {high}, mean {mean}"


def _counts(cells):
    """Return whether cells count from 0, as pandas numbers columns without names."""
    cells = cells[1:] if cells and not cells[0] else cells
    return len(cells) > 2 and cells == [str(number) for number in range(len(cells))]


def _reason(reason, names):
    names = [printable(name) for name in names]
    shown = names[:5] + ([f"… ({len(names)} in all)"] if len(names) > 5 else [])
    return f"{', '.join(shown)} ({reason})"


def _count(number, noun, plural=None):
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _listed(names):
    return ", ".join(map(_short, names[:3])) + (", …" if len(names) > 3 else "")


def _short(cell):
    cell = str(cell)
    return repr(cell if len(cell) <= 20 else cell[:20] + "…")
