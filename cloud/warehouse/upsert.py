"""Moves rows from a staging table to the fact table in one transaction, which may be repeated.

`cloud.precedence` decides which of two rows with the same key stays. A batch must have only one
event day for each key. In most batches all keys are new. Then the rows are inserted without looking
for each key.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from cloud.columns import COLUMNS
from cloud.precedence import replaces
from cloud.warehouse.engine import converted
from cloud.warehouse.tables import KEY
from contract.records import Kind

__all__ = ["clear_staging", "delete_moved", "load_batch", "upsert_from_staging"]

_SAME_KEY = "f.`device_id` = s.`device_id` AND f.`stream_id` = s.`stream_id` AND f.`seq` = s.`seq`"
_LOCK_S = 60  # another connection's transaction that reads the staging table must end within this
_RANGES_AT_ONCE = 200


class _Range(NamedTuple):
    """The numbers of one stream in a staged batch, and how many rows have them."""

    device_id: str
    stream_id: str
    first: int
    last: int
    rows_total: int


def delete_moved(kind: Kind) -> str:
    """Return SQL that deletes rows which batch `:batch_id` replaces with another event day."""
    return (
        f"DELETE f FROM `fct_{kind}` AS f JOIN `stg_{kind}` AS s ON {_SAME_KEY}"
        " WHERE s.`batch_id` = :batch_id AND f.`event_day` <> s.`event_day`"
        f" AND {replaces('s', 'f')}"
    )


def upsert_from_staging(kind: Kind) -> str:
    """Return SQL that inserts batch `:batch_id`, or replaces rows of the same event day.

    Run this SQL after `delete_moved` in the same transaction. A row that still exists with another
    event day has precedence: the batch's row with this key is left out.
    """
    target = f"`fct_{kind}`"
    wins = replaces("s", target)
    # received_at is last: MySQL assigns from left to right, and `wins` needs the old value.
    names = (f"`{c.name}`" for c in COLUMNS[kind] if c.name not in (*KEY, "received_at"))
    changes = [f"{n} = IF({wins}, s.{n}, {target}.{n})" for n in names]
    changes.append(f"`received_at` = LEAST({target}.`received_at`, s.`received_at`)")
    return (
        f"{_insert(kind)} AND NOT EXISTS"  # noqa: S608 - names of columns
        f" (SELECT 1 FROM {target} AS f WHERE {_SAME_KEY} AND f.`event_day` <> s.`event_day`)"
        f" ON DUPLICATE KEY UPDATE {', '.join(changes)}"
    )


def _insert_new(kind: Kind) -> str:
    """Return SQL that inserts batch `:batch_id` if no key of it is stored.

    A task that Spark repeated has staged the same row twice; the first is kept.
    """
    return f"{_insert(kind)} ON DUPLICATE KEY UPDATE `seq` = `fct_{kind}`.`seq`"


def _insert(kind: Kind) -> str:
    names = [f"`{c.name}`" for c in COLUMNS[kind]]
    return (
        f"INSERT INTO `fct_{kind}` ({', '.join(names)})"  # noqa: S608 - names of columns
        f" SELECT {', '.join(f's.{n}' for n in names)} FROM `stg_{kind}` AS s"
        " WHERE s.`batch_id` = :batch_id"
    )


def clear_staging(engine: Engine, kind: Kind, *, lock_s: int = _LOCK_S) -> None:
    """Empty the staging table. The account needs the privilege DROP for it.

    Args:
        engine: The warehouse.
        kind: Kind of the staged rows.
        lock_s: How long to wait for other connections that read the table, seconds.

    Raises:
        WarehouseError: Another connection reads the table for longer, or the server did not
            answer; call again.
    """
    with converted(), engine.begin() as connection:
        # The server's default is a year.
        connection.execute(text(f"SET SESSION lock_wait_timeout = {lock_s}"))
        connection.execute(text(f"TRUNCATE TABLE `stg_{kind}`"))


def load_batch(engine: Engine, kind: Kind, batch_id: str) -> int:
    """Move a staged batch to its fact table. Return the number of staged rows.

    Raises:
        WarehouseError: The fact table is unchanged, or has all rows of the batch; call again.
    """
    values = {"batch_id": batch_id}
    with converted(), engine.begin() as connection:
        ranges = _ranges(connection, kind, batch_id)
        if _any_stored(connection, kind, ranges):
            connection.execute(text(delete_moved(kind)), values)
            connection.execute(text(upsert_from_staging(kind)), values)
        elif ranges:
            connection.execute(text(_insert_new(kind)), values)
    clear_staging(engine, kind)
    return sum(found.rows_total for found in ranges)


def _ranges(connection: Connection, kind: Kind, batch_id: str) -> list[_Range]:
    query = (
        "SELECT `device_id`, `stream_id`, MIN(`seq`), MAX(`seq`), COUNT(*)"  # noqa: S608 - a name
        f" FROM `stg_{kind}` WHERE `batch_id` = :batch_id GROUP BY `device_id`, `stream_id`"
    )
    return [_Range(*row) for row in connection.execute(text(query), {"batch_id": batch_id})]


def _any_stored(connection: Connection, kind: Kind, ranges: Sequence[_Range]) -> bool:
    """Return whether the fact table has a number within the ranges.

    The ranges are constants of the query, so that the server reads no row outside of them.
    """
    for group in _groups(ranges):
        wanted: list[str] = []
        values: dict[str, object] = {}
        for n, found in enumerate(group):
            wanted.append(
                f"(`device_id` = :d{n} AND `stream_id` = :s{n} AND `seq` BETWEEN :f{n} AND :l{n})"
            )
            values |= {f"d{n}": found.device_id, f"s{n}": found.stream_id}
            values |= {f"f{n}": found.first, f"l{n}": found.last}
        chosen = " OR ".join(wanted)
        # Only names of columns and of parameters are put into the text.
        query = f"SELECT 1 FROM `fct_{kind}` WHERE {chosen} LIMIT 1"  # noqa: S608
        if connection.scalar(text(query), values):
            return True
    return False


def _groups(ranges: Sequence[_Range]) -> Iterator[Sequence[_Range]]:
    for start in range(0, len(ranges), _RANGES_AT_ONCE):
        yield ranges[start : start + _RANGES_AT_ONCE]
