"""Parses and checks marks, which give the quality of values that are not `good`."""

from typing import Any

from contract.blocks import Mark
from contract.errors import ContractError
from contract.quantities import Flag, Quality

__all__ = ["check_marks", "parse_marks"]

_QUALITIES = {quality.value: quality for quality in Quality}
_FLAGS = {flag.value: flag for flag in Flag}


def parse_marks(items: list[Any], series_total: int, rows: int, where: str) -> tuple[Mark, ...]:
    """Returns the marks of one sensor's columns.

    Args:
        items: The list in the document.
        series_total: Number of columns of values.
        rows: Number of values in each column.
        where: Place in the document, for messages.

    Raises:
        ContractError: `bad_columns`: an item is not a mark, or names no value.
    """
    return tuple(
        _mark(item, series_total, rows) or _checked_mark(item, series_total, rows, where)
        for item in items
    )


def _mark(item: Any, series_total: int, rows: int) -> Mark | None:
    """Returns the mark, or None if anything is wrong; there may be thousands of marks."""
    try:
        series, row, quality, flags = item[:4]
        is_whole = type(series) is int and type(row) is int and type(flags) is list
        if is_whole and 0 <= series < series_total and 0 <= row < rows:
            named = tuple(map(_FLAGS.__getitem__, flags))
            return Mark(series, row, _QUALITIES[quality], named)
    except (TypeError, ValueError, LookupError):
        pass
    return None


def _checked_mark(item: Any, series_total: int, rows: int, where: str) -> Mark:
    try:
        series, row, quality, flags = item[0], item[1], Quality(item[2]), item[3]
        if type(series) is int and type(row) is int and isinstance(flags, list):
            mark = Mark(series, row, quality, tuple(Flag(f) for f in flags))
            if 0 <= series < series_total and 0 <= row < rows:
                return mark
    except (TypeError, ValueError, LookupError) as error:
        text = f"{where}: mark {repr(item)[:60]}: {str(error)[:80]}"
        raise ContractError("bad_columns", text) from error
    raise ContractError(
        "bad_columns", f"{where}: mark {repr(item)[:60]} does not name an existing value"
    )


def check_marks(
    columns: tuple[tuple[int | None, ...], ...], marks: tuple[Mark, ...], where: str
) -> None:
    """Checks that no value has two marks, and that each null has one with a flag.

    Raises:
        ContractError: `bad_columns` otherwise.
    """
    reasoned = {(m.series, m.row): m.quality is Quality.BAD and bool(m.flags) for m in marks}
    if len(reasoned) < len(marks):
        raise ContractError("bad_columns", f"{where}: marks: two marks for one value")
    for index, column in enumerate(columns):
        if None not in column:
            continue
        for row, value in enumerate(column):
            if value is None and not reasoned.get((index, row)):
                raise ContractError(
                    "bad_columns",
                    f"{where}: series {index} row {row} is null but has no mark with a flag",
                )
