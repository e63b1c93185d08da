"""Makes rows of a table exactly what they should be by writing the differences only.

It knows no table: whoever calls says which rows are there and which should be, and commits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Select, Table, select, tuple_
from sqlalchemy.dialects.mysql import insert

__all__ = ["Cells", "Rows", "every_row", "make_exact", "read_rows"]

_ROWS = 1000  # one statement's worth

Cells: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Mapping[Cells, Cells]
"""Key cells in the order of the primary key, and the others in the order of the table."""


def every_row(table: Table) -> Select[Any]:
    """Selects what `read_rows` reads; the caller says of which rows."""
    return select(*table.primary_key, *_others(table))


def read_rows(connection: Connection, table: Table, query: Select[Any]) -> Rows:
    """The rows of a query that was made by `every_row`."""
    width = len(table.primary_key)
    return {tuple(row[:width]): tuple(row[width:]) for row in connection.execute(query)}


def make_exact(connection: Connection, table: Table, kept: Rows, wanted: Rows) -> int:
    """Inserts, updates and deletes until the kept rows are the wanted ones.

    Returns:
        How many rows were written or deleted; 0 if nothing differed.
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
