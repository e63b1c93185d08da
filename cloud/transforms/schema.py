"""Defines the columns of the transforms' frames as Spark types, from `cloud.columns`.

An INSTANT is a timestamp (microseconds, UTC), and a DAY is a date. WORDS are an array of strings,
which becomes JSON text only for MySQL. A DOCUMENT is JSON text. All columns may be null: the
contract checks required fields before a row exists.
"""

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from cloud.columns import COLUMNS, COMMON, Column, ColumnType
from contract.errors import DewlineError
from contract.records import Kind

__all__ = [
    "CLEAN_FLAGS",
    "DECODED",
    "EVENTS",
    "EVENT_COLUMNS",
    "FIELDS",
    "KEY",
    "ORDER",
    "PERIOD",
    "READINGS",
    "SOURCE",
    "MissingColumns",
    "kind_schema",
    "require",
    "spark_type",
]

KEY = ("device_id", "stream_id", "seq")
PERIOD = "event_period"
CLEAN_FLAGS = "clean_flags"
SOURCE = "source"  # the block's place in the lake, see cloud.transforms.arrow_blocks
# Of two rows with the same key, the one with the lower values in these columns is kept.
ORDER = ("received_at", SOURCE)
FIELDS = "fields"  # JSON text: the own columns of a record that is not a reading

_TYPES: dict[ColumnType, DataType] = {
    ColumnType.WORD: StringType(),
    ColumnType.INTEGER: LongType(),
    ColumnType.REAL: DoubleType(),
    ColumnType.BOOLEAN: BooleanType(),
    ColumnType.INSTANT: TimestampType(),
    ColumnType.DAY: DateType(),
    ColumnType.WORDS: ArrayType(StringType()),
    ColumnType.DOCUMENT: StringType(),
}


class MissingColumns(DewlineError):
    """A frame lacks columns that a transform needs."""


def require(frame: DataFrame, names: Iterable[str]) -> None:
    """Check that a frame has the columns `names`.

    Raises:
        MissingColumns: Columns are missing; the message lists missing and present ones.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        present = ", ".join(frame.columns)
        raise MissingColumns(f"missing columns: {', '.join(missing)}; present are: {present}")


def _fields(columns: Iterable[Column]) -> list[StructField]:
    return [StructField(c.name, _TYPES[c.type]) for c in columns]


def kind_schema(kind: Kind) -> StructType:
    """Return the columns of one kind, in the order of its `COLUMNS`."""
    return StructType(_fields(COLUMNS[kind]))


def spark_type(column: Column) -> DataType:
    """Return the type of a column."""
    return _TYPES[column.type]


def _own(kinds: Iterable[Kind]) -> list[Column]:
    """Return the columns that are not common to all kinds, each name once.

    Columns of two kinds may have the same name (`value`, `model`, `reason`) only with one type.
    """
    found: dict[str, Column] = {}
    for kind in kinds:
        for column in COLUMNS[kind][len(COMMON) :]:
            known = found.setdefault(column.name, column)
            if known.type is not column.type:
                raise TypeError(f"column {column.name} has two types, one of them in {kind}")
    return list(found.values())


_EVENT_KINDS = tuple(kind for kind in Kind if kind is not Kind.READING)
EVENT_COLUMNS: tuple[Column, ...] = tuple(_own(_EVENT_KINDS))

# One frame has all kinds, so that each payload is decoded once. Of 100 rows 99 are readings, and
# each cell costs time. So the other kinds' own columns are one JSON text until `expand`.
DECODED = StructType(
    [
        StructField("kind", StringType()),
        *kind_schema(Kind.READING).fields,
        StructField(FIELDS, StringType()),
        StructField(SOURCE, StringType()),
    ]
)
READINGS = StructType(
    [
        StructField(PERIOD, StringType()),
        *kind_schema(Kind.READING).fields,
        StructField(CLEAN_FLAGS, ArrayType(StringType())),
        StructField(SOURCE, StringType()),
    ]
)
EVENTS = StructType(
    [
        StructField(PERIOD, StringType()),
        StructField("kind", StringType()),
        *_fields(COMMON),
        *_fields(EVENT_COLUMNS),
        StructField(SOURCE, StringType()),
    ]
)
