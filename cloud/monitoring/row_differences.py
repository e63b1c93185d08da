"""Changes rows of a table to the wanted ones; writes only the differences.

The caller gives the present and the wanted rows of any table, and commits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Select, Table, select, tuple_
from sqlalchemy.dialects.mysql import insert

__all__ = ["Cells", "Rows", "every_row", "make_exact", "read_rows"]

_ROWS = 1000  # most rows in one statement

Cells: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Mapping[Cells, Cells]
"""Key cells in the order of the primary key: all other cells in the order of the table."""


def every_row(table: Table) -> Select[Any]:
    """Return a query for `read_rows`; the caller adds the filter."""
    return select(*table.primary_key, *_others(table))


def read_rows(connection: Connection, table: Table, query: Select[Any]) -> Rows:
    """Return the rows of a query that `every_row` made."""
    width = len(table.primary_key)
    return {tuple(row[:width]): tuple(row[width:]) for row in connection.execute(query)}


def make_exact(connection: Connection, table: Table, kept: Rows, wanted: Rows) -> int:
    """Insert, update and delete rows, so that the table has the wanted rows instead of the kept.

    Returns:
        Number of rows written or deleted; 0 if nothing differed.
    """
    gone = [key for key in kept if key not in wanted]
    different = [(*key, *cells) for key, cells in wanted.items() if kept.get(key) != cells]
    key_columns, others = list(table.primary_key), _others(table)
    for keys in _chunks(gone):
        connection.execute(table.delete().where(tuple_(*key_columns).in_(keys)))
    names = [column.name for column in (*key_columns, *others)]
    statement = insert(table)
    changes = {column.name: statement.inserted[column.name] for column in others}
    statement = statement.on_duplicate_key_update(changes)
    for rows in _chunks(different):
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
    return len(gone) + len(different)


def _others(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if not column.primary_key]


def _chunks(rows: Sequence[Cells]) -> Iterator[Sequence[Cells]]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]
