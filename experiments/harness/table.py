"""Read a file of rows and columns, in any form that people save one, as text."""

import codecs
import csv
import gzip
import hashlib
import io
import itertools
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from experiments.harness.errors import InputError

DELIMITERS = "\t;|, "  # in the order of preference
SAMPLE_BYTES, SAMPLE_LINES = 2**20, 100  # to recognise the form of a table from
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
csv.field_size_limit(2**31 - 1)  # a cell may be a text
CONTROL = bytes({*range(32)} - set(b"\t\n\v\f\r"))
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
# RuntimeError: of a zip archive with a password, or packed in an unknown way.
UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError)
UNREADABLE += (zlib.error, zipfile.BadZipFile, csv.Error)
COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
ARFF = re.compile(rb"(?:[ \t]*(?:%[^\n]*)?\r?\n)*[ \t]*@relation\b", re.I)
ARFF_DATA = re.compile(r"^[ \t]*@data\b.*$", re.I | re.M)
ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)""", re.I)


@dataclass(frozen=True)
class Table:
    """The cells of a file as text, without surrounding white space; rows without any are left out.

    A header, if there is one, is the first row, unless the file's format has `names`.
    """

    path: Path
    sha256: str  # of the file
    columns: Sequence[pa.ChunkedArray]  # of strings
    lines: Callable[[], Sequence[int]]  # the line of the file that each row ends on
    names: Sequence[str] | None = None
    decimal_comma: bool = False  # may numbers have one?
    notes: Sequence[str] = ()  # what was left out


class _Form(NamedTuple):
    delimiter: str
    quote: str
    width: int

    def rows(self, lines):
        """Split lines, or the lines of a text, into cells."""
        if self.delimiter == " ":
            lines = (line.replace("\t", " ").strip(" \r\n") for line in lines)
        options = {"delimiter": self.delimiter, "quotechar": self.quote}
        return csv.reader(lines, skipinitialspace=self.delimiter == " ", **options)

    def lines(self, text):
        """Yield the line that each row ends on."""
        reader = self.rows(io.StringIO(text, newline=""))
        return (reader.line_num for row in reader if any(map(str.strip, row)))


def read_table(path: Path) -> Table:
    """Read a table: text with any separator, ARFF, Parquet, Excel; perhaps in a gzip or zip.

    The format is recognised by the content. Raise `InputError` if the file cannot be read, is
    of none of these formats, or its rows have different numbers of cells.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path} is not a file; save the table as one")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    found = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        content = _unpacked(path, content)
        if content.startswith(b"PAR1"):
            return Table(**found, **_read_parquet(content))
        if content.startswith(b"PK"):
            return Table(**found, **_read_excel(content))
        if content.startswith(OLD_EXCEL):
            raise ValueError("it is a workbook of before 2007; save it as CSV")
        encoding = _encoding(path, content)
        if ARFF.match(content):
            return Table(**found, **_read_arff(path, content, encoding))
        return Table(**found, **_read_text(path, content, encoding))
    except UNREADABLE as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from error


def _unpacked(path, content):
    """Return the content of a compressed file, or of the only file in a zip archive."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if "[Content_Types].xml" in names:
            return content  # a workbook
        names = [name for name in names if not name.startswith(("__MACOSX", "."))]
        if len(names) != 1:
            raise InputError(f"{path} has {len(names)} files; one is needed")
        return archive.read(names[0])


def _read_parquet(content):
    table = parquet.read_table(io.BytesIO(content))
    if not table.num_columns:
        raise ValueError("it has no columns")
    columns = [pc.fill_null(pc.cast(column, pa.string()), "") for column in table.columns]
    return _without_blank_rows(columns) | {"names": table.column_names}


def _read_excel(content):
    try:
        sheets = pd.read_excel(
            io.BytesIO(content), sheet_name=None, header=None, dtype=str, na_filter=False
        )
    except ImportError as error:
        raise InputError("to read a workbook, install openpyxl, or save it as CSV") from error
    except Exception as error:  # openpyxl raises errors of any type
        raise ValueError(f"it is not a workbook, or is corrupt ({error})") from error
    sheets = {name: sheet for name, sheet in sheets.items() if sheet.size}
    if not sheets:
        raise ValueError("it has no cells")
    name, sheet = next(iter(sheets.items()))
    columns = [pa.chunked_array([pa.array(sheet[each].astype(str))]) for each in sheet]
    notes = [f"of {len(sheets)} sheets, the first ({name}) was read"] if len(sheets) > 1 else []
    return _without_blank_rows(columns) | {"notes": notes}


def _read_arff(path, content, encoding):
    """Read the attributes' names; the data are a table separated by commas."""
    text = content.decode(encoding)
    head, *data = ARFF_DATA.split(text, maxsplit=1)
    names = [_unquoted(name) for name in ATTRIBUTE.findall(head)]
    if not data or not names:
        raise InputError(f"{path}: the file has no @attribute lines or no @data line")
    if data[0].lstrip().startswith("{"):
        raise InputError(f"{path} is a sparse ARFF file; save it as CSV")
    return _read_text(path, content, encoding, len(names)) | {"names": names}


def _arff_data(text):
    """Return the data of an ARFF file, blank lines instead of its head and comments."""
    head, data = ARFF_DATA.split(text, maxsplit=1)
    return "\n" * head.count("\n") + re.sub(r"^\s*%.*$", "", data, flags=re.M)


def _encoding(path, content):
    marked = next((name for mark, name in ENCODINGS if content.startswith(mark)), None)
    if not marked and content.translate(None, CONTROL) != content:
        raise InputError(f"{path} is not a text file")
    for encoding in (marked or "utf-8", "cp1252"):  # the latter is Excel's in western Europe
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InputError(f"{path} is not a text file")


def _read_text(path, content, encoding, width=None):
    """Read a text by its form, which its first lines show."""
    content, form, notes = _clean(path, content, encoding, width)
    columns = _parse(path, content, form)

    def lines():  # read again: keeping the content would double the memory
        content, form, _ = _clean(path, _unpacked(path, path.read_bytes()), encoding, width)
        return list(form.lines(content.decode()))

    comma = form.delimiter != ","
    return {"columns": columns, "lines": lines, "decimal_comma": comma, "notes": notes}


def _clean(path, content, encoding, width):
    """Empty the lines that are not of the table; return the content as UTF-8, form, notes."""
    if width:
        content = _arff_data(content.decode(encoding)).encode()
    elif encoding != "utf-8":
        content = content.decode(encoding).encode()
    sample = content[:SAMPLE_BYTES]
    if len(sample) < len(content):
        sample = sample[: sample.rfind(b"\n") + 1] or content
    text, notes = sample.decode(errors="replace"), []
    if COMMENT.search(text):
        whole, number = COMMENT.subn("", content.decode())
        content, text = whole.encode(), COMMENT.sub("", text)
        notes.append(f"{number} line{'s' if number > 1 else ''} beginning with #")
    first = text.lstrip().partition("\n")[0].strip()
    delimiters = "," if width else DELIMITERS
    if re.fullmatch(r'"?sep=[^"\s]"?', first, re.I):  # Excel's way to say the separator
        delimiters = first.strip('"')[-1]
        content = content.replace(first.encode(), b"", 1)
        text = text.replace(first, "", 1)
    if not text.strip():
        raise InputError(f"{path} is empty")
    form = _recognise(text, delimiters, width)
    if next(form.lines(text), None) is None:
        raise InputError(f"{path} is empty")
    if skipped := _title_lines(form, text):
        notes.append(f"line {', '.join(map(str, skipped))} (a title)")
        content = b"".join(
            b"\n" if number in skipped else line
            for number, line in enumerate(content.splitlines(keepends=True), 1)
        )
    return _with_whole_header(content, form), form, notes


def _with_whole_header(content, form):
    """Add the cell that a header lacks: R writes row names, others a comma at the end of a row."""
    head = content[:SAMPLE_BYTES].decode(errors="replace")
    rows = (row for row in form.rows(io.StringIO(head, newline="")) if any(map(str.strip, row)))
    header, *rows = itertools.islice(rows, SAMPLE_LINES)
    if len(header) != form.width - 1 or not all(len(row) == form.width for row in rows[:-1]):
        return content
    start = len(content) - len(content.lstrip())
    if any(row[-1].strip() for row in rows[:-1]):
        empty = (form.quote * 2 + form.delimiter).encode()
        return content[:start] + empty + content[start:]
    end = start + re.search(rb"$", content[start:], re.M).start()
    end -= content[start:end].endswith(b"\r")
    return content[:end] + form.delimiter.encode() + content[end:]


def _recognise(text, delimiters, width):
    """Find the separator and the quotes by which most rows have the same number of cells.

    With a given `width` the text is the data of an ARFF file, where ' is the usual quote.
    """
    lines = [line for line in text.splitlines(keepends=True) if line.strip()][:SAMPLE_LINES]
    best, share = None, 0
    for mark in delimiters:
        for quote in "'\"" if width else "\"'":
            try:
                rows = [*_Form(mark, quote, 0).rows(lines)]
            except csv.Error:
                continue
            (number, count), *_ = Counter(map(len, rows)).most_common(1)
            if (number > 1 or len(delimiters) == 1) and count / len(rows) > share:
                best, share = _Form(mark, quote, width or number), count / len(rows)
    return best or _Form(",", '"', 1)


def _title_lines(form, text):
    """Return the lines before the table that have one cell only."""
    skipped = []
    if form.width == 1:
        return skipped
    reader = form.rows(io.StringIO(text, newline=""))
    for row in reader:
        filled = sum(bool(cell.strip()) for cell in row)
        if filled > 1:
            return skipped
        if filled:
            skipped.append(reader.line_num)
    return []


def _parse(path, content, form):
    """Split the text into columns of trimmed cells."""
    quote = form.quote
    if form.delimiter == " ":
        rows = form.rows(io.StringIO(content.decode(), newline=""))
        content = "\n".join("\t".join(row) for row in rows).encode()
        form, quote = form._replace(delimiter="\t"), False
    names, different = [str(number) for number in range(form.width)], []

    block = max(2**20, 4 * content.find(b"\n"))  # a line must fit into it

    def keep(row):
        if row.text.strip():
            different.append(row.actual_columns)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            arrow_csv.ReadOptions(column_names=names, block_size=block),
            arrow_csv.ParseOptions(
                delimiter=form.delimiter,
                quote_char=quote,
                newlines_in_values=form.quote.encode() in content,
                invalid_row_handler=keep,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if different:
        reader = form.rows(io.StringIO(content.decode(), newline=""))
        for row in reader:
            if any(map(str.strip, row)) and len(row) != form.width:
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(row)} cells, where most lines have "
                    f"{form.width}"
                )
        raise InputError(f"{path}: lines have different numbers of cells")
    columns = table.columns
    if b" " in content or b"\xc2\xa0" in content:
        columns = [pc.utf8_trim_whitespace(column) for column in columns]
    blank = _blank(columns)
    if blank is not None:
        columns = [column.filter(pc.invert(blank)) for column in columns]
    return [_unquoted_column(column) for column in columns] if b"'" in content else columns


def _unquoted_column(column):
    """Take off single quotes that every cell below the first row has, unless it is missing."""
    quoted = pc.match_substring_regex(column, "^'.*'$")
    if not pc.any(quoted).as_py():
        return column
    plain = pc.and_(pc.invert(quoted), pc.invert(pc.is_in(column, pa.array(["", "?"]))))
    return column if pc.any(plain[1:]).as_py() else pc.utf8_trim(column, "'")


def _blank(columns):
    """Return a mask of the rows without any cell, or None if every row has one."""
    blank = pc.equal(columns[0], "")
    for column in columns[1:]:
        if not pc.any(blank).as_py():
            return None
        blank = pc.and_(blank, pc.equal(column, ""))
    return blank if pc.any(blank).as_py() else None


def _without_blank_rows(columns):
    columns = [pc.utf8_trim_whitespace(column) for column in columns]
    rows = np.arange(1, len(columns[0]) + 1)
    blank = _blank(columns)
    if blank is not None:
        columns = [column.filter(pc.invert(blank)) for column in columns]
        rows = rows[~blank.to_numpy()]
    return {"columns": columns, "lines": lambda: rows}


def _unquoted(cell):
    quoted = len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "\"'"
    return cell[1:-1] if quoted else cell
