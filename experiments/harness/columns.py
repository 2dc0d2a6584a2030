"""What the cells of a column are: numbers in any notation, text, missing."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "?", "na", "n/a", "#n/a", "<na>", "nan", "null")
NO_NUMBER = (*MISSING, "none", ".", "-", "--")  # missing in a column of numbers only
PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^[+-]?inf(inity)?$"
COMMA = r"^[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?$"
GROUPED = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"  # 1,234.5
GROUPED_BY_DOTS = r"^[+-]?\d{1,3}(\.\d{3})+(,\d+)?$"  # 1.234,5
GROUPED_BY_OTHERS = r"^[+-]?\d{1,3}(['’ \x{a0}\x{202f}]\d{3})+([.,]\d+)?$"  # 1 234.5
WITH_UNIT = r"^[$€£]\s?[+-]?[\d.,]+$|^[+-]?[\d.,]+\s?[%$€£]$"


def is_missing(column: pa.ChunkedArray, also=MISSING) -> pa.ChunkedArray:
    """Return a mask of the cells that stand for a missing value."""
    return pc.is_in(pc.utf8_lower(column), pa.array(also))


def to_text(column: pa.ChunkedArray) -> np.ndarray:
    """Return the cells as strings, composed letters as one character (NFC), missing ones empty."""
    column = pc.if_else(is_missing(column), "", pc.utf8_normalize(column, form="NFC"))
    return column.to_numpy().astype(object)


def to_numbers(
    column: pa.ChunkedArray, decimal_comma: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Convert cells to float64, exactly, missing ones to NaN; true and false are 1 and 0.

    Notations with thousands separators or a decimal comma are understood if all cells of the
    column are unambiguous in one of them; `decimal_comma` says that 1,234 is ambiguous.

    Returns
    -------
    numbers : array of shape (n_rows,)
    wrong : array of bool of shape (n_rows,)
        The cells that are not missing and no numbers.
    """
    numbers = _cast(column)
    if numbers is not None and np.isfinite(numbers).all():
        return numbers, np.zeros(len(numbers), bool)
    cells = pc.utf8_lower(column)
    cells = pc.if_else(is_missing(cells, NO_NUMBER), None, cells)
    is_bool = pc.is_in(cells, pa.array(["true", "false"], pa.string()), skip_nulls=True)
    if _all(pc.or_(is_bool, pc.is_null(cells))) and _any(is_bool):
        cells = pc.if_else(pc.is_null(cells), None, pc.if_else(pc.equal(cells, "true"), "1", "0"))
    plain = _matches(cells, PLAIN)
    present = pc.is_valid(cells)
    if not _all(plain, present):
        cells = _plain_notation(cells, present, plain, decimal_comma)
        plain = _matches(cells, PLAIN)
    wrong = pc.and_(present, pc.invert(plain))
    cells = pc.replace_substring_regex(pc.if_else(plain, cells, None), r"^\+", "")
    return _cast(cells), wrong.to_numpy()


def is_text(cells: list[str]) -> np.ndarray:
    """Return for each cell whether it is neither missing nor a number in any notation."""
    cells = pa.chunked_array([cells])
    any_notation = "|".join((PLAIN, GROUPED_BY_OTHERS, WITH_UNIT, r"^[+-]?[\d.,]+$"))
    number = _matches(pc.utf8_lower(cells), any_notation)
    return pc.invert(pc.or_(number, is_missing(cells))).to_numpy()


def ambiguous(column: pa.ChunkedArray) -> bool:
    """Return whether every comma may separate thousands or decimals, as in 1,234."""
    cells = pc.filter(column, pc.invert(is_missing(column, NO_NUMBER)))
    grouped = _matches(cells, r"^[+-]?[1-9]\d{0,2},\d{3}$")
    return _any(grouped) and _all(pc.or_(grouped, _matches(cells, r"^[+-]?\d{1,3}$")))


def with_unit(column: pa.ChunkedArray) -> bool:
    """Return whether all cells are numbers with a per cent sign or a currency."""
    cells = pc.filter(column, pc.invert(is_missing(column, NO_NUMBER)))
    return len(cells) > 0 and _all(_matches(cells, WITH_UNIT))


def _plain_notation(cells, present, plain, decimal_comma):
    """Rewrite numbers in another notation, if all cells are in that one."""
    grouped = _matches(cells, GROUPED)
    if not decimal_comma and _all(pc.or_(plain, grouped), present):
        return pc.replace_substring(cells, ",", "")
    if _all(_matches(cells, COMMA), present) and not ambiguous(cells):
        return pc.replace_substring(cells, ",", ".")
    if _any(pc.match_substring_regex(cells, r",\d{3}[.,]")) and _all(
        pc.or_(plain, grouped), present
    ):
        return pc.replace_substring(cells, ",", "")
    by_dots = pc.or_(_matches(cells, GROUPED_BY_DOTS), _matches(cells, COMMA))
    if _any(pc.match_substring_regex(cells, r"\.\d{3}[.,]")) and _all(by_dots, present):
        return pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")
    others = pc.or_(_matches(cells, GROUPED_BY_OTHERS), pc.or_(plain, _matches(cells, COMMA)))
    if _any(_matches(cells, GROUPED_BY_OTHERS)) and _all(others, present):
        cells = pc.replace_substring_regex(cells, r"['’ \x{a0}\x{202f}]", "")
        return pc.replace_substring(cells, ",", ".")
    return cells


def _cast(column):
    try:
        return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None


def _matches(cells, pattern):
    return pc.fill_null(pc.match_substring_regex(cells, pattern), False)


def _any(mask):
    return bool(pc.any(mask).as_py())


def _all(mask, where=None):
    mask = mask if where is None else pc.or_(mask, pc.invert(where))
    return pc.all(mask, min_count=0).as_py() is not False
