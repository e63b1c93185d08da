"""Parses and checks marks, which give the quality of values that are not `good`."""

from operator import itemgetter
from typing import Any

from contract.blocks import Mark
from contract.errors import ContractError
from contract.quantities import Flag, Quality
from contract.typed import LARGEST

__all__ = ["parse_marks"]

_QUALITIES = {quality.value: quality for quality in Quality}
_FLAGS = {flag.value: flag for flag in Flag}
_FIELDS = itemgetter(0, 1, 2, 3)


def parse_marks(
    items: list[Any], columns: tuple[tuple[Any, ...], ...], where: str
) -> tuple[Mark, ...]:
    """Checks a sensor's columns with their marks, and returns the marks.

    Args:
        items: The list in the document.
        columns: Columns of equal length. Each null needs a mark.
        where: Place in the document, for messages.

    Raises:
        ContractError: `bad_columns`: a value is neither a whole number nor null, an item is not a
            mark, names no value or a marked one, or a null has no mark with a flag.
    """
    _check_columns(columns, where)
    rows = len(columns[0])
    marks = _marks(items, len(columns), rows)
    if marks is None:
        marks = tuple([_checked_mark(item, len(columns), rows, where) for item in items])
    _check_marks(columns, marks, where)
    return marks


def _check_columns(columns: tuple[tuple[Any, ...], ...], where: str) -> None:
    for column in columns:
        if not set(map(type, column)) <= {int, type(None)}:
            raise ContractError(
                "bad_columns", f"{where}: a value is neither a whole number nor null"
            )
        values = [v for v in column if v is not None]
        if values and not -LARGEST <= min(values) <= max(values) <= LARGEST:
            raise ContractError("bad_columns", f"{where}: a value exceeds +/-(2^53 - 1)")


def _marks(items: list[Any], series_total: int, rows: int) -> tuple[Mark, ...] | None:
    """Returns the marks, or None if anything is wrong; there may be thousands, so by column."""
    if not items:
        return ()
    try:
        series, row, qualities, flags = zip(*map(_FIELDS, items), strict=True)
        if not (_are_below(series, series_total) and _are_below(row, rows)):
            return None
        if set(map(type, flags)) != {list}:
            return None
        texts = [tuple(texts) for texts in flags]
        named = {known: tuple(map(_FLAGS.__getitem__, known)) for known in set(texts)}
        columns = zip(
            *(series, row, map(_QUALITIES.__getitem__, qualities), map(named.__getitem__, texts)),
            strict=True,
        )
        return tuple(map(Mark._make, columns))
    except (TypeError, ValueError, LookupError):
        return None


def _are_below(numbers: tuple[Any, ...], limit: int) -> bool:
    return set(map(type, numbers)) == {int} and min(numbers) >= 0 and max(numbers) < limit


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


def _check_marks(
    columns: tuple[tuple[int | None, ...], ...], marks: tuple[Mark, ...], where: str
) -> None:
    if len({mark[:2] for mark in marks}) < len(marks):
        raise ContractError("bad_columns", f"{where}: marks: two marks for one value")
    reasoned = {m[:2] for m in marks if m.quality is Quality.BAD and m.flags}
    for index, column in enumerate(columns):
        if None not in column:
            continue
        for row, value in enumerate(column):
            if value is None and (index, row) not in reasoned:
                raise ContractError(
                    "bad_columns",
                    f"{where}: series {index} row {row} is null but has no mark with a flag",
                )
