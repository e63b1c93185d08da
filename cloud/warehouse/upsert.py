"""Moves rows from a staging table to the fact table in one transaction, which may be repeated.

`cloud.precedence` decides which of two rows with the same key stays. A batch must have only one
event day for each key.
"""

from sqlalchemy import Engine, text

from cloud.columns import COLUMNS
from cloud.precedence import replaces
from cloud.warehouse.engine import converted
from cloud.warehouse.tables import KEY
from contract.records import Kind

__all__ = ["clear_staging", "delete_moved", "load_batch", "upsert_from_staging"]

_SAME_KEY = "f.`device_id` = s.`device_id` AND f.`stream_id` = s.`stream_id` AND f.`seq` = s.`seq`"


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
    names = [f"`{c.name}`" for c in COLUMNS[kind]]
    wins = replaces("s", target)
    # received_at is last: MySQL assigns from left to right, and `wins` needs the old value.
    changed = (f"`{c.name}`" for c in COLUMNS[kind] if c.name not in (*KEY, "received_at"))
    changes = [f"{n} = IF({wins}, s.{n}, {target}.{n})" for n in changed]
    changes.append(f"`received_at` = LEAST({target}.`received_at`, s.`received_at`)")
    return (
        f"INSERT INTO {target} ({', '.join(names)})"  # noqa: S608 - names of columns
        f" SELECT {', '.join(f's.{n}' for n in names)} FROM `stg_{kind}` AS s"
        " WHERE s.`batch_id` = :batch_id AND NOT EXISTS"
        f" (SELECT 1 FROM {target} AS f WHERE {_SAME_KEY} AND f.`event_day` <> s.`event_day`)"
        f" ON DUPLICATE KEY UPDATE {', '.join(changes)}"
    )


def clear_staging(kind: Kind) -> str:
    """Return SQL that deletes batch `:batch_id` from the staging table."""
    return f"DELETE FROM `stg_{kind}` WHERE `batch_id` = :batch_id"  # noqa: S608 - names of columns


def load_batch(engine: Engine, kind: Kind, batch_id: str) -> int:
    """Move a staged batch to its fact table. Return the number of staged rows.

    Raises:
        WarehouseError: Nothing was changed; the batch is still staged.
    """
    values = {"batch_id": batch_id}
    with converted(), engine.begin() as connection:
        connection.execute(text(delete_moved(kind)), values)
        connection.execute(text(upsert_from_staging(kind)), values)
        return connection.execute(text(clear_staging(kind)), values).rowcount
