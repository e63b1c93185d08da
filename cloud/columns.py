"""Defines the flat columns of each kind of record, from which every store's schema is made.

Index templates, the Spark schema and the warehouse's tables are made from `COLUMNS`; a test
compares each of them with it. `columns_of` makes the columns of other values, such as forecasts.
Every kind has one row per key (device, stream, number).
"""

import json
import types
import typing
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Annotated, Any

from contract.blocks import Entry
from contract.keys import event_day
from contract.records import RECORD_TYPES, Kind, Record
from contract.typed import UtcMs, plain

__all__ = ["COLUMNS", "COMMON", "Column", "ColumnType", "columns_of", "row"]


class ColumnType(StrEnum):
    """Type of a cell, with the Python type that `row` returns for it."""

    WORD = "word"  # str from a closed or id-like vocabulary
    INTEGER = "integer"  # int, 64 bits
    REAL = "real"  # float
    BOOLEAN = "boolean"  # bool
    INSTANT = "instant"  # int, ms since 1970 UTC
    DAY = "day"  # datetime.date
    WORDS = "words"  # tuple[str, ...]
    DOCUMENT = "document"  # str, JSON


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a kind."""

    name: str
    type: ColumnType
    required: bool


COMMON: tuple[Column, ...] = (
    Column("device_id", ColumnType.WORD, required=True),
    Column("stream_id", ColumnType.WORD, required=True),
    Column("seq", ColumnType.INTEGER, required=True),
    Column("event_day", ColumnType.DAY, required=True),
    Column("observed_at", ColumnType.INSTANT, required=False),
    Column("offset_ms", ColumnType.INTEGER, required=True),
    Column("received_at", ColumnType.INSTANT, required=True),
)
_SCALARS = {
    str: ColumnType.WORD,
    int: ColumnType.INTEGER,
    float: ColumnType.REAL,
    bool: ColumnType.BOOLEAN,
}


def row(device_id: str, stream_id: str, received_at: int, entry: Entry) -> tuple[Any, ...]:
    """Returns one record's cells in the order of its kind's `COLUMNS`; absent values are None."""
    common = (
        device_id,
        stream_id,
        entry.seq,
        event_day(entry.observed_at),
        entry.observed_at,
        entry.offset_ms,
        received_at,
    )
    return common + _cells(entry.record)


def _cells(record: Record) -> tuple[Any, ...]:
    return tuple(_cell(getattr(record, f.name)) for f in fields(record))


def _cell(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return tuple(str(item) for item in value) or None
    if isinstance(value, tuple) or hasattr(value, "__dataclass_fields__"):
        return json.dumps(plain(value), separators=(",", ":")) if value != () else None
    return value


def columns_of(cls: type[Any]) -> tuple[Column, ...]:
    """Returns the fields of a dataclass as columns, in their order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    own = []
    for field in fields(cls):
        hint, optional = _without_none(hints[field.name])
        own.append(Column(field.name, _type(hint), required=not optional))
    return tuple(own)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(a for a in typing.get_args(hint) if a is not type(None)), True
    return hint, typing.get_origin(hint) is tuple


def _type(hint: Any) -> ColumnType:
    if hint == UtcMs:
        return ColumnType.INSTANT
    if typing.get_origin(hint) is Annotated:
        return _type(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        words = _type(typing.get_args(hint)[0]) is ColumnType.WORD
        return ColumnType.WORDS if words else ColumnType.DOCUMENT
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ColumnType.WORD
    return _SCALARS.get(hint, ColumnType.DOCUMENT)


COLUMNS: dict[Kind, tuple[Column, ...]] = {
    kind: COMMON + columns_of(cls) for kind, cls in RECORD_TYPES.items()
}
