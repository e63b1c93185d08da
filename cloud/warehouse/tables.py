"""Defines the warehouse's fact and staging tables for SQLAlchemy, from `cloud.columns`.

Queries use `METADATA`; the migrations create the schema, and a test compares both. The tables work
on MySQL 8 and MariaDB 10.11. They have no JSON type, because MySQL reorders its content and MariaDB
uses LONGTEXT instead. Texts are compared byte by byte.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, Date, Dialect, Index, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from cloud.columns import COLUMNS, ColumnType
from cloud.columns import Column as KindColumn
from contract.records import Kind

__all__ = ["FACTS", "KEY", "METADATA", "OPTIONS", "STAGING", "Instant", "word"]

METADATA = MetaData()
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
KEY = ("device_id", "stream_id", "seq", "event_day")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[int]):
    """Milliseconds since 1970 UTC in Python, DATETIME(3) in the database."""

    impl = mysql.DATETIME
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(fsp=3)

    def process_bind_param(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Convert milliseconds to the database's naive UTC."""
        del dialect
        if value is None:
            return None
        return (_EPOCH + timedelta(milliseconds=value)).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Convert the database's naive UTC to milliseconds."""
        del dialect
        if value is None:
            return None
        since: timedelta = value.replace(tzinfo=UTC) - _EPOCH
        return since // timedelta(milliseconds=1)


def word(name: str) -> mysql.VARCHAR:
    """Return the type of a word column: length 13 for stream ids, 63 for ids, else 200."""
    if name.endswith("stream_id"):
        return mysql.VARCHAR(13)
    return mysql.VARCHAR(63 if name.endswith("_id") else 200)


def _type(column: KindColumn) -> TypeEngine[Any]:
    types: dict[ColumnType, TypeEngine[Any]] = {
        ColumnType.WORD: word(column.name),
        ColumnType.INTEGER: mysql.BIGINT(),
        ColumnType.REAL: mysql.DOUBLE(asdecimal=False),
        ColumnType.BOOLEAN: mysql.BOOLEAN(),
        ColumnType.INSTANT: Instant(),
        ColumnType.DAY: Date(),
        ColumnType.WORDS: mysql.MEDIUMTEXT(),
        ColumnType.DOCUMENT: mysql.MEDIUMTEXT(),
    }
    return types[column.type]


def _columns(kind: Kind) -> list[Column[Any]]:
    return [
        Column(c.name, _type(c), nullable=not c.required, autoincrement=False)
        for c in COLUMNS[kind]
    ]


def _fact(kind: Kind) -> Table:
    # Grain: one row per record. The key contains event_day, so that a table can be partitioned by
    # it. If the day of a row changes, the row is deleted and inserted (see upsert.py).
    name = f"fct_{kind}"
    parts: list[Any] = [
        *_columns(kind),
        PrimaryKeyConstraint(*KEY),
        Index(f"ix_{name}_day", "event_day", "device_id"),
    ]
    if kind is Kind.READING:
        parts.append(
            Index(f"ix_{name}_signal", "device_id", "sensor_id", "quantity", "observed_at")
        )
    return Table(name, METADATA, *parts, **OPTIONS)


def _staging(kind: Kind) -> Table:
    # Grain: one row per record and attempt of a load; a task that Spark repeats appends rows again.
    name = f"stg_{kind}"
    return Table(
        name,
        METADATA,
        # Without a meaning: some servers refuse tables without a primary key.
        Column("row_id", mysql.BIGINT(), primary_key=True, autoincrement=True),
        Column("batch_id", mysql.VARCHAR(63), nullable=False),
        *_columns(kind),
        **OPTIONS,
    )


FACTS: dict[Kind, Table] = {kind: _fact(kind) for kind in Kind}
STAGING: dict[Kind, Table] = {kind: _staging(kind) for kind in Kind}
