"""Creates and migrates the outbox's tables; each migration is a function, in one transaction.

sqlite-utils is imported only when a migration is pending, so that other starts stay fast.
"""

import sqlite3
from typing import TYPE_CHECKING

from edge.errors import OutboxNewer

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["SCHEMA_VERSION", "migrate"]

SCHEMA_VERSION = 1


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the file to `SCHEMA_VERSION`.

    Raises:
        sqlite3.DatabaseError: The file is damaged.
        OutboxNewer: A newer dewline wrote the file.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == SCHEMA_VERSION:
        return
    if found > SCHEMA_VERSION:
        raise OutboxNewer(
            f"the outbox has schema {found}, this dewline supports up to {SCHEMA_VERSION}: install "
            "a newer dewline"
        )
    from sqlite_utils import Database, Migrations  # noqa: PLC0415 - see the module's docstring

    migrations = Migrations("outbox")
    migrations(name="0001_queue")(_queue)
    migrations.apply(Database(connection))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _queue(db: "Database") -> None:
    # Without AUTOINCREMENT, row ids would be used again after the queue was empty.
    db.execute(
        "CREATE TABLE block (row_id INTEGER PRIMARY KEY AUTOINCREMENT, stream_id TEXT NOT NULL, "
        "first INTEGER NOT NULL, last INTEGER NOT NULL, alert INTEGER NOT NULL, "
        "payload BLOB NOT NULL, crc32 INTEGER NOT NULL)"
    )
    db.execute("CREATE INDEX block_alert ON block (row_id) WHERE alert = 1")
    db.execute(
        "CREATE TABLE stream_end (only INTEGER PRIMARY KEY CHECK (only = 1), "
        "stream_id TEXT NOT NULL, last INTEGER NOT NULL, committed_at INTEGER, "
        "tail_ms INTEGER NOT NULL, clean INTEGER NOT NULL)"
    )
    db.execute("CREATE TABLE memory (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
