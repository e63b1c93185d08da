"""Converts SQLite's errors into the outbox's errors, by SQLite's result code."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import OutboxAccess, OutboxBusy, OutboxCorrupt, OutboxError, OutboxFull

__all__ = ["converted"]

# Reads that fail, or that end before the end of a page, are damage: a retry would fail for ever.
_UNREADABLE = (
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
_NO_ACCESS = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


@contextmanager
def converted(path: Path) -> Iterator[None]:
    """Raises the outbox's error for each error of SQLite that is no bug of this program."""
    try:
        yield
    except UnicodeDecodeError as error:  # of a name in a damaged schema, in SQLite's own message
        raise OutboxCorrupt(f"{path}: a text is damaged: {error}") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
            raise _outbox_error(path, error) from error
        raise  # a bug of this program, such as a broken constraint: the file is good


def _outbox_error(path: Path, error: sqlite3.DatabaseError) -> OutboxError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & 0xFF
    if code in _UNREADABLE:
        return OutboxCorrupt(f"{path}: {error}: the disk cannot read the file")
    if primary in _BUSY:
        return OutboxBusy(f"{path}: {error}: another program has it open and is writing")
    if primary in _FULL:
        return OutboxFull(f"{path}: {error}")
    if primary in _NO_ACCESS:
        return OutboxAccess(
            f"{path}: {error}. Check that the folder exists and that this account can write there"
        )
    return OutboxCorrupt(f"{path}: {error}")  # also a missing table or column
