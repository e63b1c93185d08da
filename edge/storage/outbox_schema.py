"""Creates and migrates the outbox's tables; each migration is a function, in one transaction.

sqlite-utils is imported only when a migration is pending, so that other starts stay fast.
"""

import sqlite3
from typing import TYPE_CHECKING

from edge.errors import OutboxNewer

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["SCHEMA", "SCHEMA_VERSION", "migrate"]

SCHEMA_VERSION = 2

# The tables of each version as SQLite stores them. A difference in a file is damage.
_INDEX = "CREATE INDEX block_alert ON block (row_id) WHERE alert = 1"
_BLOCK = (
    "CREATE TABLE block (row_id INTEGER PRIMARY KEY AUTOINCREMENT, stream_id TEXT NOT NULL, "
    "first INTEGER NOT NULL, last INTEGER NOT NULL, alert INTEGER NOT NULL, "
    "payload BLOB NOT NULL, crc32 INTEGER NOT NULL"
)
_STREAM_END = (
    "CREATE TABLE stream_end (only INTEGER PRIMARY KEY CHECK (only = 1), "
    "stream_id TEXT NOT NULL, last INTEGER NOT NULL, committed_at INTEGER, "
    "tail_ms INTEGER NOT NULL, clean INTEGER NOT NULL"
)
_MEMORY = "CREATE TABLE memory (name TEXT PRIMARY KEY, text TEXT NOT NULL"
SCHEMA = {
    1: {_BLOCK + ")", _INDEX, _STREAM_END + ")", _MEMORY + ") WITHOUT ROWID"},
    2: {
        _BLOCK + ", row_crc32 INTEGER)",
        _INDEX,
        _STREAM_END + ", crc32 INTEGER)",
        _MEMORY + ", crc32 INTEGER) WITHOUT ROWID",
    },
}


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
    migrations(name="0002_checksums")(_checksums)
    migrations.apply(Database(connection))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _queue(db: "Database") -> None:
    # Without AUTOINCREMENT, row ids would be used again after the queue was empty.
    db.execute(_BLOCK + ")")
    db.execute(_INDEX)
    db.execute(_STREAM_END + ")")
    db.execute(_MEMORY + ") WITHOUT ROWID")


def _checksums(db: "Database") -> None:
    # SQLite has no checksums of its own. Rows of before have none: their values are null.
    db.execute("ALTER TABLE block ADD COLUMN row_crc32 INTEGER")
    db.execute("ALTER TABLE stream_end ADD COLUMN crc32 INTEGER")
    db.execute("ALTER TABLE memory ADD COLUMN crc32 INTEGER")
