"""Stores the outbox: the durable queue between sense loop and send loop, in one SQLite file.

One row is one committed block. The file uses WAL with synchronous FULL: when `commit` returns, the
block survives a power cut. Deleting acked blocks need not be durable, because a block sent twice is
stored once. So the send loop's connection uses synchronous NORMAL, which costs no fsync. A start
reads a few rows, never the backlog. The schema's migrations are in `edge.storage.outbox_schema`.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.records import Span
from edge.errors import OutboxCorrupt, OutboxError, OutboxFull, OutboxNewer
from edge.storage.outbox_schema import migrate

__all__ = ["Encoded", "Outbox", "QueueState", "QueuedBlock", "StreamEnd"]

_BUSY_TIMEOUT_S = 10.0
_NO_ROW_ID = 2**63 - 1  # above all row ids that SQLite assigns


@dataclass(frozen=True, slots=True)
class Encoded:
    """A block ready to be committed.

    Attributes:
        first: Number of the first record.
        last: Number of the last record.
        alert: Whether the block contains an alert; if so, it is sent first.
        payload: The encoded block.
    """

    first: int
    last: int
    alert: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class QueuedBlock:
    """A committed block that the cloud has not acked yet.

    Attributes:
        row_id: Row id; grows with each commit and is never used twice.
        stream_id: Stream of the records.
        first: Number of the first record.
        last: Number of the last record.
        alert: Whether the block contains an alert.
        payload: The bytes to send.
    """

    row_id: int
    stream_id: str
    first: int
    last: int
    alert: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Describes a stream at its last commit, for the next start.

    Attributes:
        stream_id: The stream.
        last: Number of the last committed record.
        committed_at: UTC of that commit, ms; None if the clock was not trusted.
        tail_ms: Longest time after the commit, ms, of which an unclean stop can lose samples. Later
            samples would have come after another commit.
        clean: Whether the stream ended cleanly.
    """

    stream_id: str
    last: int
    committed_at: int | None
    tail_ms: int
    clean: bool


@dataclass(frozen=True, slots=True)
class QueueState:
    """Describes the queue's size.

    Attributes:
        blocks: Number of blocks in the queue.
        payload_bytes: Total size of the blocks, bytes.
    """

    blocks: int
    payload_bytes: int


class Outbox:
    """One connection to the outbox; each thread opens its own.

    Args:
        path: The file; created if it does not exist.
        durable: True for the sense loop: a commit is on the disk when it returns.

    Raises:
        OutboxCorrupt: The file is damaged or is not a database; see `edge.storage.recovery`.
        OutboxFull: The disk is full, or the file is not accessible.
        OutboxNewer: A newer dewline wrote the file.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        self._damaged: dict[int, QueuedBlock] = {}
        self._reported: set[int] = set()
        with _converted(path):
            self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._prepare(durable=durable)
        except OutboxError:
            self._db.close()
            raise

    def _prepare(self, *, durable: bool) -> None:
        with _converted(self.path):
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            migrate(self._db)

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def commit(
        self,
        blocks: Sequence[Encoded],
        end: StreamEnd,
        memory: Iterable[tuple[str, str]] = (),
        forget: Iterable[int] = (),
    ) -> None:
        """Commits blocks, the stream's new end and the sense loop's state in one transaction.

        Args:
            blocks: Consecutive blocks of `end.stream_id`, by ascending number.
            end: The stream after these blocks.
            memory: Names and texts for `recall`.
            forget: Row ids of damaged blocks to delete; the new blocks declare their loss.

        Raises:
            OutboxFull: Nothing was committed; the caller keeps the records and tries again.
            OutboxCorrupt: Nothing was committed.
        """
        with _converted(self.path), self._transaction():
            self._db.executemany(
                "INSERT INTO block (stream_id, first, last, alert, payload, crc32) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (end.stream_id, b.first, b.last, b.alert, b.payload, zlib.crc32(b.payload))
                    for b in blocks
                ],
            )
            self._db.execute(
                "INSERT OR REPLACE INTO stream_end "
                "(only, stream_id, last, committed_at, tail_ms, clean) VALUES (1, ?, ?, ?, ?, ?)",
                (end.stream_id, end.last, end.committed_at, end.tail_ms, end.clean),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO memory (name, text) VALUES (?, ?)", list(memory)
            )
            self._db.executemany("DELETE FROM block WHERE row_id = ?", [(r,) for r in forget])

    def stream_end(self) -> StreamEnd | None:
        """Returns the last stream's end; None for a new outbox."""
        row = self._row("SELECT stream_id, last, committed_at, tail_ms, clean FROM stream_end")
        if row is None:
            return None
        stream_id, last, committed_at, tail_ms, clean = row
        return StreamEnd(stream_id, last, committed_at, tail_ms, bool(clean))

    def recall(self, name: str) -> str | None:
        """Returns the text committed under a name; None if there is none."""
        row = self._row("SELECT text FROM memory WHERE name = ?", name)
        return None if row is None else str(row[0])

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
        with _converted(self.path), self._transaction():
            self._db.executemany("DELETE FROM block WHERE row_id = ?", [(r,) for r in row_ids])

    def state(self) -> QueueState:
        """Returns the queue's size; 100,000 blocks take about 50 ms."""
        row = self._row("SELECT count(*), coalesce(sum(length(payload)), 0) FROM block")
        return QueueState(*row) if row else QueueState(0, 0)

    def spans(self, limit: int) -> list[Span]:
        """Returns the waiting numbers: consecutive blocks merged, oldest first, at most `limit`."""
        # Consecutive numbers are in consecutive rows, so a span begins where the row before is not
        # its predecessor. A loop over all rows in Python takes 8 times as long.
        with _converted(self.path), self._transaction("DEFERRED"):
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
            "SELECT row_id, stream_id, first, last, alert, payload, crc32 FROM block "  # noqa: S608 - our words
            f"WHERE {lane} AND row_id >= ? AND row_id < ? ORDER BY row_id LIMIT ?"  # a constant
        )
        while rows := self._rows(sql, from_row_id, before_row_id, limit):
            blocks = [block for block in map(self._checked, rows) if block is not None]
            if blocks:
                return blocks
            from_row_id = rows[-1][0] + 1  # all rows are damaged: read the ones after them
        return []

    def _checked(self, row: tuple[Any, ...]) -> QueuedBlock | None:
        row_id, stream_id, first, last, alert, payload, crc32 = row
        block = QueuedBlock(row_id, stream_id, first, last, bool(alert), payload)
        if isinstance(payload, bytes) and zlib.crc32(payload) == crc32:
            return block
        self._damaged[row_id] = block
        return None

    def _row(self, sql: str, *arguments: object) -> tuple[Any, ...] | None:
        with _converted(self.path):
            row: tuple[Any, ...] | None = self._db.execute(sql, arguments).fetchone()
            return row

    def _rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with _converted(self.path):
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


@contextmanager
def _converted(path: Path) -> Iterator[None]:
    try:
        yield
    except OutboxNewer as error:
        raise OutboxNewer(f"{path}: {error}") from error
    except sqlite3.OperationalError as error:
        raise OutboxFull(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # a bug of this program, such as a broken constraint: the file is good
        raise OutboxCorrupt(f"{path}: {error}") from error
