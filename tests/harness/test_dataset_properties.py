"""Any table is read exactly, or refused with an InputError."""

import csv
import io

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from experiments.harness.dataset import LARGEST, MISSING, SMALLEST, read_dataset, read_rows
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
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), min_size=1
).map(str.strip)


def is_word(text):
    """Neither a number nor a missing value."""
    try:
        float(text)
    except ValueError:
        return text.casefold() not in MISSING and bool(text)
    return False


names = words.filter(is_word)


@st.composite
def tables(draw):
    """Numbers, labels and names as drawn, and how they are written."""
    rows = draw(st.integers(2, 8))
    width = draw(st.integers(1, 5))
    X = [[draw(numbers) for _ in range(width)] for _ in range(rows)]
    labels = draw(st.lists(names, min_size=2, max_size=2, unique_by=str.casefold))
    y = [labels[row % 2] for row in range(rows)]
    taken = [label.casefold() for label in labels]
    titles = names.filter(lambda name: name.casefold() not in taken)
    header = draw(st.none() | st.lists(titles, min_size=width + 1, max_size=width + 1, unique=True))
    target = draw(st.integers(0, width))
    delimiter = draw(st.sampled_from(",;\t"))
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
    X, y, header, target, delimiter, text = table
    first = text.splitlines()[0]
    assume(delimiter_of(first) == delimiter)  # no name with a mark that goes first
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    data = read_dataset(path, folds=1, target=str(target + 1))
    assert np.array_equal(data.X, X)
    assert data.y.tolist() == y
    assert data.classes == tuple(sorted(set(y)))
    numbered = [f"column {number + 1}" for number in range(X.shape[1] + 1) if number != target]
    assert list(data.features) == (header[:-1] if header else numbered)


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
        lambda: read_dataset(path, folds=2, target=target).X,
        lambda: read_rows(path, ["a", "b"])[0],
        lambda: read_rows(path, ["column 1", "column 2"])[0],
    ):
        try:
            values, message = read(), str(path)
        except InputError as error:
            values, message = 0.0, str(error)
        assert np.isfinite(values).all()
        assert str(path) in message
        assert "\n" not in message


@usual
@given(table=tables(), place=st.integers(0, 400), put=st.none() | pieces)
def test_a_table_with_one_typo_is_read_exactly_or_refused(tmp_path, table, place, put):
    """One character is missing, or something is inserted."""
    *_, target, _, text = table
    place %= len(text)
    text = text[:place] + (put or "") + text[place + (put is None) :]
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    try:
        data = read_dataset(path, folds=1, target=str(target + 1))
    except InputError:
        return
    cells = list(
        csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter_of(text))
    )
    cells = [row for row in cells if any(cell.strip() for cell in row)][-len(data.y) :]
    assert data.y.tolist() == [row[target].strip() for row in cells]
    expected = [[float(cell) for i, cell in enumerate(row) if i != target] for row in cells]
    assert np.array_equal(data.X, expected)


def delimiter_of(text):
    first = next(line for line in text.lstrip("\ufeff").splitlines() if line.strip())
    return next((mark for mark in "\t;," if mark in first), ",")
