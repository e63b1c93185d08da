"""Stores the outbox: the durable queue between sense loop and send loop, in one SQLite file.

One row is one committed block. The file uses WAL with synchronous FULL: when `commit` returns, the
block survives a power cut. Deleting acked blocks need not be durable, because a block sent twice is
stored once. So the send loop's connection uses synchronous NORMAL, which costs no fsync. A start
connection that is opened reads a few rows, never the backlog; `edge.storage.inspection` checks the
whole file at the gateway's start. The schema's migrations are in `edge.storage.outbox_schema`.
"""

import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from contract.records import Span
from edge.errors import OutboxCorrupt, OutboxError, OutboxMoved, OutboxNewer
from edge.storage.end_file import EndFile
from edge.storage.outbox_schema import migrate
from edge.storage.queued import Encoded, QueuedBlock, QueueState
from edge.storage.row_checks import row_crc32, sound_memory
from edge.storage.sqlite_errors import converted
from edge.storage.stream_end import Kept, StreamEnd

__all__ = ["Outbox"]

log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 10.0
_DURABLE_BUSY_TIMEOUT_S = 0.3  # the sense loop must not wait for another program's lock
_NO_ROW_ID = 2**63 - 1  # above all row ids that SQLite assigns


class Outbox:
    """One connection to the outbox; each thread opens its own.

    Args:
        path: The file.
        durable: True for the sense loop: a commit is on the disk when it returns.
        create: Whether the file is created if it does not exist.
        end_file: Receives the stream's end at each commit; None to keep no end file.

    Raises:
        OutboxCorrupt: The file is damaged or is not a database; see `edge.storage.recovery`.
        OutboxFull: The disk is full or refuses writes.
        OutboxAccess: The folder or the file does not exist or is not accessible.
        OutboxNewer: A newer dewline wrote the file.
    """

    def __init__(
        self, path: Path, *, durable: bool, create: bool = True, end_file: EndFile | None = None
    ) -> None:
        self.path = path
        self.end_file = end_file
        self._damaged: dict[int, QueuedBlock] = {}
        self._reported: set[int] = set()
        mode = "rwc" if create else "rw"
        with converted(path):
            self._db = sqlite3.connect(
                f"file:{quote(str(path))}?mode={mode}",
                uri=True,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
            )
        try:
            self._prepare(durable=durable)
        except OutboxError:
            self._db.close()
            raise
        self._places = _places(path) if durable else ()

    def _prepare(self, *, durable: bool) -> None:
        with converted(self.path):
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            try:
                migrate(self._db)
            except OutboxNewer as error:
                raise OutboxNewer(f"{self.path}: {error}") from error
            if durable:
                self._db.execute(f"PRAGMA busy_timeout = {_DURABLE_BUSY_TIMEOUT_S * 1000:.0f}")

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def commit(
        self,
        blocks: Sequence[Encoded],
        end: StreamEnd,
        memory: Iterable[tuple[str, str]] = (),
        forget: Iterable[int] = (),
        dropped: Kept | None = None,
    ) -> None:
        """Commits blocks, the stream's new end and the sense loop's state in one transaction.

        Args:
            blocks: Consecutive blocks of `end.stream_id`, by ascending number.
            end: The stream after these blocks.
            memory: Names and texts for `recall`.
            forget: Row ids of damaged blocks to delete; the new blocks declare their loss.
            dropped: Readings that were dropped and that no record reports yet.

        Raises:
            OutboxFull: Nothing was committed; the caller keeps the records and tries again.
            OutboxBusy: As above: another program locks the file.
            OutboxMoved: Nothing was committed: the file is no longer at its place.
            OutboxCorrupt: Nothing was committed.
        """
        self._check_places()
        if self.end_file is not None:
            self.end_file.reserve(end, self._oldest_stream)
        with converted(self.path), self._transaction():
            self._insert(end.stream_id, blocks)
            self._db.execute(
                "INSERT OR REPLACE INTO stream_end "
                "(only, stream_id, last, committed_at, tail_ms, clean, crc32) "
                "VALUES (1, ?, ?, ?, ?, ?, ?)",
                (end.stream_id, end.last, end.committed_at, end.tail_ms, end.clean, end.crc32),
            )
            self._remember(memory)
            self._db.executemany("DELETE FROM block WHERE row_id = ?", [(r,) for r in forget])
        if self.end_file is not None:
            self.end_file.note(end, dropped)

    def restore(
        self, blocks: Iterable[tuple[str, Encoded]], memory: Iterable[tuple[str, str]]
    ) -> None:
        """Inserts blocks of a damaged file, each with its stream, and the sense loop's state.

        The stream's end is not restored: its absence shows the next start that blocks may be lost.

        Raises:
            OutboxError: Nothing was inserted.
        """
        with converted(self.path), self._transaction():
            for stream, block in blocks:
                self._insert(stream, [block])
            self._remember(memory)

    def copy_to(self, path: Path) -> None:
        """Copies the open file, which may be deleted, to a new file.

        Raises:
            OutboxError: The copy is incomplete.
        """
        with converted(path), closing(sqlite3.connect(path)) as target:
            self._db.backup(target)

    def note_kept(self, kept: Kept) -> None:
        """Notes outside of the file how many records wait in memory, after a failed commit."""
        if self.end_file is not None:
            self.end_file.note_kept(kept)

    def _insert(self, stream: str, blocks: Iterable[Encoded]) -> None:
        self._db.executemany(
            "INSERT INTO block (stream_id, first, last, alert, payload, crc32, row_crc32) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(stream, b.first, b.last, b.alert, b.payload, zlib.crc32(b.payload)),
                    row_crc32(stream, b.first, b.last, b.alert),
                )
                for b in blocks
            ],
        )

    def _remember(self, memory: Iterable[tuple[str, str]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO memory (name, text, crc32) VALUES (?, ?, ?)",
            [(name, text, zlib.crc32(text.encode())) for name, text in memory],
        )

    def _check_places(self) -> None:
        """Raises OutboxMoved if the open files are no longer at their places."""
        if any(
            a is not None and a != b for a, b in zip(self._places, _places(self.path), strict=False)
        ):
            raise OutboxMoved(
                f"{self.path}: the file, or its -wal, was deleted or replaced while the gateway "
                "was running"
            )

    def _oldest_stream(self) -> str | None:
        row = self._row("SELECT stream_id FROM block ORDER BY row_id LIMIT 1")
        return None if row is None else str(row[0])

    def stream_end(self) -> StreamEnd | None:
        """Returns the last stream's end; None for a new outbox."""
        row = self._row("SELECT stream_id, last, committed_at, tail_ms, clean FROM stream_end")
        if row is None:
            return None
        stream_id, last, committed_at, tail_ms, clean = row
        return StreamEnd(stream_id, last, committed_at, tail_ms, bool(clean))

    def recall(self, name: str) -> str | None:
        """Returns the text committed under a name; None if there is none."""
        row = self._row("SELECT text, crc32 FROM memory WHERE name = ?", name)
        if row is None:
            return None
        if not sound_memory(*row):
            log.error(
                "%s: the stored state `%s` is damaged and not used. Alerts may be raised again, "
                "and forecasts pause until the window is full",
                self.path,
                name,
            )
            return None
        return str(row[0])

    def newest_row_id(self) -> int:
        """Returns the row id of the newest block ever committed; 0 if there was none."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'block'")
        return 0 if row is None else int(row[0])

    def alerts(self, from_row_id: int, limit: int) -> list[QueuedBlock]:
        """Returns the oldest blocks with alerts, from that row id on."""
        return self._blocks("alert = 1", from_row_id, _NO_ROW_ID, limit)

    def ordinary(self, from_row_id: int, before_row_id: int, limit: int) -> list[QueuedBlock]:
        """Returns the oldest blocks without alerts and with a row id in [from, before)."""
        return self._blocks("alert = 0", from_row_id, before_row_id, limit)

    def ordinary_before(self, row_id: int) -> bool:
        """Returns whether a block without alerts and with a lower row id waits."""
        return self._row("SELECT 1 FROM block WHERE alert = 0 AND row_id < ?", row_id) is not None

    def empty(self) -> bool:
        """Returns whether no block waits; reads one row, while `state` reads all rows."""
        return self._row("SELECT 1 FROM block") is None

    def damaged(self) -> list[QueuedBlock]:
        """Returns damaged blocks found since the last call; they are never sent."""
        found = [b for row_id, b in self._damaged.items() if row_id not in self._reported]
        self._reported.update(b.row_id for b in found)
        return found

    def delete(self, row_ids: Iterable[int]) -> None:
        """Deletes blocks that the cloud has acked."""
        with converted(self.path), self._transaction():
            self._db.executemany("DELETE FROM block WHERE row_id = ?", [(r,) for r in row_ids])

    def state(self) -> QueueState:
        """Returns the queue's size; 100,000 blocks take about 50 ms."""
        row = self._row("SELECT count(*), coalesce(sum(length(payload)), 0) FROM block")
        return QueueState(*row) if row else QueueState(0, 0)

    def spans(self, limit: int) -> list[Span]:
        """Returns the waiting numbers: consecutive blocks merged, oldest first, at most `limit`."""
        # Consecutive numbers are in consecutive rows, so a span begins where the row before is not
        # its predecessor. A loop over all rows in Python takes 8 times as long.
        with converted(self.path), self._transaction("DEFERRED"):
            begins = self._rows(
                "SELECT row_id, stream_id, first FROM block AS b WHERE NOT EXISTS (SELECT 1 FROM "
                "block AS a WHERE a.row_id = b.row_id - 1 AND a.stream_id = b.stream_id "
                "AND a.last + 1 = b.first) ORDER BY row_id LIMIT ?",
                limit + 1,
            )
            following = [row_id for row_id, _, _ in begins[1:]] + [_NO_ROW_ID]
            return [
                Span(stream_id=stream_id, first=first, last=self._last_before(row_id))
                for (_, stream_id, first), row_id in zip(begins[:limit], following, strict=False)
            ]

    def _last_before(self, row_id: int) -> int:
        row = self._row(
            "SELECT last FROM block WHERE row_id < ? ORDER BY row_id DESC LIMIT 1", row_id
        )
        return int(row[0]) if row else 0

    def _blocks(
        self, lane: str, from_row_id: int, before_row_id: int, limit: int
    ) -> list[QueuedBlock]:
        sql = (
            "SELECT row_id, stream_id, first, last, alert, payload, crc32, row_crc32 FROM block "  # noqa: S608 - our words
            f"WHERE {lane} AND row_id >= ? AND row_id < ? ORDER BY row_id LIMIT ?"  # a constant
        )
        while rows := self._rows(sql, from_row_id, before_row_id, limit):
            blocks = [block for block in map(self._checked, rows) if block is not None]
            if blocks:
                return blocks
            from_row_id = rows[-1][0] + 1  # all rows are damaged: read the ones after them
        return []

    def _checked(self, row: tuple[Any, ...]) -> QueuedBlock | None:
        row_id, stream_id, first, last, alert, payload, crc32, row_crc = row
        if row_crc is not None and row_crc32(stream_id, first, last, alert) != row_crc:
            raise OutboxCorrupt(f"{self.path}: row {row_id} is damaged: its numbers are unknown")
        block = QueuedBlock(row_id, stream_id, first, last, bool(alert), payload)
        if isinstance(payload, bytes) and zlib.crc32(payload) == crc32:
            return block
        self._damaged[row_id] = block
        return None

    def _row(self, sql: str, *arguments: object) -> tuple[Any, ...] | None:
        with converted(self.path):
            row: tuple[Any, ...] | None = self._db.execute(sql, arguments).fetchone()
            return row

    def _rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with converted(self.path):
            return self._db.execute(sql, arguments).fetchall()

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _places(path: Path) -> tuple[tuple[int, int] | None, ...]:
    return tuple(_place(Path(f"{path}{suffix}")) for suffix in ("", "-wal"))


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
