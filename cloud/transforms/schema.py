"""The columns of every frame of the transforms, as Spark types, derived from `cloud.columns`.

How a cell is held: INSTANT as timestamp (microseconds, UTC), DAY as date, WORDS as an array of
strings (JSON text only on the way to MySQL), DOCUMENT as JSON text. All columns may be null; what
is required is the contract's affair, decided before a row exists.
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
# Of two rows with one key the one wins that is lower in these columns.
ORDER = ("received_at", SOURCE)
FIELDS = "fields"  # JSON text: what a record that is not a reading says

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
    """A transform was given a frame without columns that it needs."""


def require(frame: DataFrame, names: Iterable[str]) -> None:
    """Makes sure that a frame has the columns `names`.

    Raises:
        MissingColumns: The text lists what is missing and what is there.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        present = ", ".join(frame.columns)
        raise MissingColumns(f"missing columns: {', '.join(missing)}; present are: {present}")


def _fields(columns: Iterable[Column]) -> list[StructField]:
    return [StructField(c.name, _TYPES[c.type]) for c in columns]


def kind_schema(kind: Kind) -> StructType:
    """The columns of one kind, in the order of its `COLUMNS`."""
    return StructType(_fields(COLUMNS[kind]))


def spark_type(column: Column) -> DataType:
    """The type of a column."""
    return _TYPES[column.type]


def _own(kinds: Iterable[Kind]) -> list[Column]:
    """Columns that are not common to all, each name once.

    Two kinds may share a name only with one type: `value`, `model`, `reason`, ...
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

# One frame holds every kind, so that a payload is decoded once. It is narrow, since 99 rows of 100
# are readings and every cell of a row costs: what else a record says is one text until `expand`.
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
