"""Selects the rows of one kind from a frame with all kinds, and expands their columns."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from pyspark.sql.types import LongType, StructField, StructType

from cloud.columns import COLUMNS, COMMON, ColumnType
from cloud.transforms.schema import EVENT_COLUMNS, FIELDS, require, spark_type
from contract.records import Kind

__all__ = ["collapse", "expand", "of_kind"]


_COMMON_NAMES = tuple(c.name for c in COMMON)
_READING_NAMES = {c.name for c in COLUMNS[Kind.READING][len(COMMON) :]}
_OWN_NAMES = [c.name for c in EVENT_COLUMNS]
_INSTANTS = {c.name for c in EVENT_COLUMNS if c.type is ColumnType.INSTANT}
_FIELDS = StructType(
    [
        StructField(c.name, LongType() if c.name in _INSTANTS else spark_type(c))
        for c in EVENT_COLUMNS
    ]
)


def of_kind(rows: DataFrame, kind: Kind) -> DataFrame:
    """Return the rows of one kind, with the columns of the kind."""
    names = [column.name for column in COLUMNS[kind]]
    require(rows, ("kind", *(_COMMON_NAMES if kind is not Kind.READING else names)))
    chosen = rows.where(F.col("kind") == kind.value)
    return (chosen if kind is Kind.READING else expand(chosen)).select(*names)


def expand(rows: DataFrame) -> DataFrame:
    """Return the rows except readings, with all their kinds' columns in place of `fields`."""
    require(rows, ("kind", *_COMMON_NAMES, FIELDS))
    kept = [name for name in rows.columns if name not in {*_READING_NAMES, FIELDS}]
    events = rows.where(F.col("kind") != Kind.READING.value)
    parsed = events.select(*kept, F.from_json(FIELDS, _FIELDS).alias(FIELDS))
    own = ((name, F.col(f"{FIELDS}.{name}")) for name in _OWN_NAMES)
    cells = (
        (F.timestamp_millis(cell) if name in _INSTANTS else cell).alias(name) for name, cell in own
    )
    return parsed.select(*kept, *cells)


def collapse(events: DataFrame) -> DataFrame:
    """Return rows of `expand` with column `fields` again; the inverse of `expand`."""
    require(events, _OWN_NAMES)
    cells = (
        (F.unix_millis(name) if name in _INSTANTS else F.col(name)).alias(name)
        for name in _OWN_NAMES
    )
    kept = [name for name in events.columns if name not in _OWN_NAMES]
    return events.select(*kept, F.to_json(F.struct(*cells)).alias(FIELDS))
