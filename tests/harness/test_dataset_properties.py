"""Any table is read exactly, or refused with an InputError."""

import csv
import io
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.harness.columns import NO_NUMBER
from experiments.harness.dataset import LARGEST, SMALLEST, read_dataset, read_rows
from experiments.harness.errors import InputError

usual = settings(
    deadline=None,
    derandomize=True,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = st.just(0.0) | st.integers(-1000, 1000).map(float)
numbers |= st.floats(SMALLEST, LARGEST) | st.floats(-LARGEST, -SMALLEST)
words = st.text(
    st.characters(
        codec="utf-8",
        categories=["L", "M", "N", "P", "S"],
        exclude_characters=",;\t|#'\"",  # a header of these would show another separator
    ),
    min_size=1,
)


def is_word(text):
    """Neither a number in any notation nor a missing value, and composed."""
    digits = text.strip("+-.%$€£’").replace(".", "").isdigit()
    plain = unicodedata.normalize("NFC", text) == text
    return text.casefold() not in NO_NUMBER and plain and not digits and not is_number(text)


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


names = words.filter(is_word)


@st.composite
def tables(draw):
    """Numbers, labels and names as drawn, and how they are written."""
    rows = draw(st.integers(3, 8))
    width = draw(st.integers(1, 5))
    X = [[draw(numbers) for _ in range(width)] for _ in range(rows)]
    labels = draw(st.lists(names, min_size=2, max_size=2, unique_by=str.casefold))
    y = [labels[row % 2] for row in range(rows)]
    taken = [label.casefold() for label in labels]
    titles = names.filter(lambda name: name.casefold() not in taken)
    header = draw(st.none() | st.lists(titles, min_size=width + 1, max_size=width + 1, unique=True))
    target = draw(st.integers(0, width))
    delimiter = draw(st.sampled_from(",;\t|"))
    written = io.StringIO()
    writer = csv.writer(
        written,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    for cells, label in [*([(header[:-1], header[-1])] if header else []), *zip(X, y, strict=True)]:
        line = [cell if isinstance(cell, str) else repr(cell) for cell in cells]
        writer.writerow([*line[:target], label, *line[target:]])
    text = draw(st.sampled_from(["", "\ufeff"])) + written.getvalue()
    return np.array(X), y, header, target, delimiter, text


@usual
@given(table=tables())
def test_a_table_is_read_exactly(tmp_path, table):
    X, y, header, target, _, text = table
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    varies = np.ptp(X, axis=0) > 0
    if not varies.any():
        with pytest.raises(InputError, match="has no features"):
            read_dataset(path, folds=1, target=str(target + 1))
        return
    data = read_dataset(path, folds=1, target=str(target + 1))
    assert np.array_equal(data.X, X[:, varies])
    assert data.y.tolist() == y
    assert data.classes == tuple(sorted(set(y)))
    numbered = [f"column {number + 1}" for number in range(X.shape[1] + 1) if number != target]
    names = np.array(header[:-1] if header else numbered, object)
    assert list(data.features) == names[varies].tolist()
    assert list(data.left_out) == names[~varies].tolist()


PIECES = [
    "0.1",
    "-2",
    "3e4",
    "R",
    "M",
    "nan",
    "inf",
    "0,5",
    "1e999",
    "x" * 30,
    *',;\t\n" _\ufeff\0é',
]
pieces = st.sampled_from(PIECES)
scraps = st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=40).map("".join))


@usual
@given(content=scraps, target=st.none() | st.sampled_from(["1", "2", "R", ""]))
def test_other_content_is_refused(tmp_path, content, target):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (
        lambda: read_dataset(path, folds=2, target=target).describe(),
        lambda: read_rows(path, ["a", "b"]),
        lambda: read_rows(path, ["column 1", "column 2"], {"column 1": ["x"]}),
    ):
        try:
            message = str(path)
            read()
        except InputError as error:
            message = str(error)
        assert str(path) in message
        assert "\n" not in message


@usual
@given(table=tables(), place=st.integers(0, 400), put=st.none() | pieces)
def test_a_table_with_one_typo_is_read_exactly_or_refused(tmp_path, table, place, put):
    """One character is missing, or something is inserted: numbers stay in their places."""
    *_, target, delimiter, text = table
    place %= len(text)
    text = text[:place] + (put or "") + text[place + (put is None) :]
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    try:
        data = read_dataset(path, folds=1, target=str(target + 1))
    except InputError:
        return
    text = text.lstrip("\ufeff")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    by_spaces = [line.split() for line in text.splitlines()]  # a tab too many, say
    columns = [column for table in (rows, by_spaces) for column in numbers_of(table, len(data.y))]
    for name in set(data.features) - set(data.categories):
        place = data.features.index(name)
        values = data.X.iloc[:, place] if data.needs_preparation else data.X[:, place]
        assert data.needs_preparation or any(np.array_equal(each, values) for each in columns)


def numbers_of(rows, n_rows):
    """Return the columns of numbers of the last rows; none if the rows differ in length."""
    cells = [row for row in rows if any(cell.strip() for cell in row)][-n_rows:]
    if len({len(row) for row in cells}) > 1:
        return []
    columns = ([cell.strip() for cell in column] for column in zip(*cells, strict=True))
    return [np.array(column, float) for column in columns if all(map(is_number, column))]
