"""Checks an outbox file at the gateway's start, before anything writes to it.

SQLite trusts its file: a flipped bit can change a number, hide a table, or make each commit fail
with an error that looks like another problem. So the check reads everything: the header, the
schema, the trees (`PRAGMA integrity_check`) and the checksums of all rows. The check uses a
read-only connection, because closing any other one could remove the -wal file, which the salvage
needs.
"""

import logging
import sqlite3
import time
import zlib
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from edge.errors import OutboxCorrupt, OutboxError, OutboxNewer
from edge.storage.end_file import Known
from edge.storage.outbox_schema import SCHEMA, SCHEMA_VERSION
from edge.storage.row_checks import row_crc32
from edge.storage.sqlite_errors import converted
from edge.storage.stream_end import StreamEnd

__all__ = ["difference", "end_in", "problem_of"]

log = logging.getLogger(__name__)

LIMIT_S = 3.0  # longest time of the check: sensing begins after it
_STEPS = 10_000  # of SQLite's machine, between two looks at the time
_TABLES = ("block", "stream_end", "memory")
_LARGEST_ROW_ID = 2**60
_WAL_HEADER = 32  # bytes


def problem_of(path: Path, known: Known | None, limit_s: float = LIMIT_S) -> str | None:
    """Returns what is wrong with an outbox; None if nothing was found, or if there is no file.

    Args:
        path: The outbox.
        known: What its end file says.
        limit_s: Longest time of the check, seconds. After it the rest is not checked; damage there
            is found when it is read.

    Raises:
        OutboxNewer: A newer dewline wrote the file.
        OutboxError: The file cannot be read now.
    """
    if (problem := _problem_of_files(path)) is not None:
        return problem
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        if (problem := _problem_of_header(_first_bytes(path))) is not None:
            return f"the header is damaged: {problem}"
        with converted(path), closing(_connected(path)) as db:
            problem = _problem_in(db, known, time.monotonic() + limit_s)
            return problem or _problem_of_wal(path, known, _end_in(db))
    except OutboxCorrupt as error:
        return str(error)
    except OutboxNewer as error:
        raise OutboxNewer(f"{path}: {error}") from error
    except OutboxError as error:
        log.warning("the outbox is not checked: %s", error)
        return None


def end_in(path: Path) -> StreamEnd | None:
    """Returns the stream's end in a damaged file; None if its checksum is missing or wrong."""
    if _problem_of_files(path) is not None or not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with converted(path), closing(_connected(path)) as db:
            return _end_in(db, checked=True)
    except (OutboxError, ValueError, TypeError, AttributeError):  # of columns with other types
        return None


def _problem_of_files(path: Path) -> str | None:
    """Returns a problem that SQLite would answer by deleting the -wal file."""
    size = path.stat().st_size if path.exists() else 0
    wal = Path(f"{path}-wal")
    if size == 0 and wal.exists() and wal.stat().st_size > 0:
        return f"{path} is missing or empty, but {wal.name} has data"
    return None


def _problem_of_wal(path: Path, known: Known | None, end: StreamEnd | None) -> str | None:
    """Returns a difference that the -wal may explain: SQLite ignores what follows a damaged frame.

    So does a -wal that does not belong to the file, because only the file was replaced.
    """
    wal = Path(f"{path}-wal")
    if not wal.exists() or wal.stat().st_size <= _WAL_HEADER:
        return None
    return difference(path, known, end)


def difference(path: Path, known: Known | None, end: StreamEnd | None) -> str | None:
    """Returns why the outbox is not the one that its end file describes; None if it is."""
    if known is None or not known.ends:
        return None
    if end is None:
        return f"{path} was deleted or emptied, or is another outbox"
    newest = known.end
    if newest is None or end.stream_id != newest.stream_id:
        # The announced stream: killed between its first commit and the note of that commit.
        same = end.stream_id == known.announced
        return None if same else f"{path} was replaced by another or an older outbox"
    if end.last < newest.last:
        return f"{path} ends at number {end.last} of {newest.last}: it or its -wal was replaced"
    return None


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(100)
    except OSError as error:
        raise OutboxCorrupt(f"{path}: the disk cannot read the file: {error.strerror}") from error


def _problem_of_header(header: bytes) -> str | None:
    """Returns a field that differs from what SQLite writes for dewline.

    Some of these make SQLite refuse all writes, as a read-only disk does.
    """
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return "it is not a database"
    versions = tuple(header[18:20])
    fields = {
        "page size": header[16:18] == b"\x10\x00",
        "versions": versions in ((1, 1), (2, 2)),
        "fractions": header[20:24] == bytes((0, 64, 32, 32)),
        "schema format": header[44:48] in (bytes(4), bytes((0, 0, 0, 4))),
        "text encoding": header[56:60] in (bytes(4), bytes((0, 0, 0, 1))),
    }
    return next((name for name, good in fields.items() if not good), None)


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2.0, isolation_level=None
    )
    db.text_factory = bytes
    return db


def _problem_in(db: sqlite3.Connection, known: Known | None, until_s: float) -> str | None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    tables = {row[0].decode("utf-8", "replace") for row in db.execute(_SCHEMA_SQL) if row[0]}
    if version > SCHEMA_VERSION:
        return _problem_of_version(db, version, tables, known)
    if version == 0 and not tables:
        return None  # killed before its first migration
    if not any(tables == expected for expected in SCHEMA.values()):
        return "the schema is damaged"
    db.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
    try:
        return _problem_of_content(db)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        log.warning("the outbox is large: only a part of it was checked at the start")
        return None


_SCHEMA_SQL = (
    "SELECT sql FROM sqlite_master WHERE tbl_name IN ('block', 'stream_end', 'memory') "
    "AND sql IS NOT NULL"
)


def _problem_of_version(
    db: sqlite3.Connection, version: int, tables: set[str], known: Known | None
) -> str:
    """Returns the problem if only the header's version is damaged.

    Raises:
        OutboxNewer: Otherwise, because a newer dewline would have written another schema or end.
    """
    if tables == SCHEMA[SCHEMA_VERSION] and known is not None:
        end = _end_in(db)
        if end is not None and end.stream_id in (
            known.announced,
            known.end and known.end.stream_id,
        ):
            return f"the header is damaged: it has schema version {version}"
    raise OutboxNewer(
        f"the outbox has schema {version}, this dewline supports up to {SCHEMA_VERSION}: install "
        "a newer dewline"
    )


def _problem_of_content(db: sqlite3.Connection) -> str | None:
    (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != b"ok":
        return f"integrity_check: {verdict.decode('utf-8', 'replace')}"
    if (problem := _problem_of_rows(db)) is not None:
        return problem
    row = db.execute("SELECT * FROM stream_end").fetchone()
    if row is not None and len(row) > 6 and row[6] is not None and _end_in(db) is None:
        return "the row of the stream's end is damaged"
    return None


def _problem_of_rows(db: sqlite3.Connection) -> str | None:
    highest = 0
    for row in db.execute("SELECT * FROM block ORDER BY row_id"):
        highest, stream, first, last, alert, payload, crc32 = row[:7]
        stream = stream.decode("utf-8", "replace") if isinstance(stream, bytes) else stream
        if not isinstance(payload, bytes) or zlib.crc32(payload) != crc32:
            return f"the block in row {highest} is damaged"
        if len(row) > 7 and row[7] not in (None, row_crc32(stream, first, last, alert)):
            return f"the numbers in row {highest} are damaged"
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'block'").fetchone()
    next_id = highest if row is None else row[0]
    if not isinstance(next_id, int) or not highest <= next_id < _LARGEST_ROW_ID:
        return "the counter of row ids is damaged"
    return None


def _end_in(db: sqlite3.Connection, *, checked: bool = False) -> StreamEnd | None:
    """Returns the end in the file; None if there is none or its checksum is wrong.

    Rows of an earlier dewline have no checksum; with `checked` they count as wrong.
    """
    row = db.execute("SELECT * FROM stream_end").fetchone()
    if row is None:
        return None
    _, stream, last, committed_at, tail_ms, clean, *rest = row
    end = StreamEnd(stream.decode("utf-8", "replace"), last, committed_at, tail_ms, bool(clean))
    crc32 = rest[0] if rest else None
    return end if crc32 == end.crc32 or (crc32 is None and not checked) else None
