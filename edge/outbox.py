"""The outbox: the durable queue between the sense loop and the send loop, one SQLite file.

One row is one committed block. WAL with synchronous FULL: when `commit` returns, the block survives
a power cut. Deleting acked blocks need not be durable (a block sent twice is stored once), so the
send loop's connection is synchronous NORMAL and costs no fsync. Start-up reads a few rows, never
the backlog. Raw statements here; the schema's migrations are in `edge.outbox_schema`.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.records import Span
from edge.errors import OutboxCorrupt, OutboxFull
from edge.outbox_schema import migrate

__all__ = ["Encoded", "Outbox", "QueueState", "QueuedBlock", "StreamEnd", "set_aside"]

_BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Encoded:
    """A block ready to be committed.

    Attributes:
        first: Number of its first record.
        last: Number of its last record.
        alert: Whether it holds an alert: then it is sent before everything else.
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
        row_id: Grows with each commit, never used twice.
        stream_id: Stream of its records.
        first: Number of its first record.
        last: Number of its last record.
        alert: Whether it holds an alert.
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
    """Where a stream stands; the next start learns from it what came before.

    Attributes:
        stream_id: The stream.
        last: Number of its last committed record.
        committed_at: UTC of that commit, ms, None if the clock was not believable.
        tail_ms: What was sampled later than that many ms after the commit cannot have been lost
            by a sudden end: it would have been committed by then.
        clean: Whether the stream was ended in order.
    """

    stream_id: str
    last: int
    committed_at: int | None
    tail_ms: int
    clean: bool


@dataclass(frozen=True, slots=True)
class QueueState:
    """How much waits.

    Attributes:
        blocks: Blocks in the queue.
        payload_bytes: Their bytes.
    """

    blocks: int
    payload_bytes: int


class Outbox:
    """One connection to the queue; each thread has its own.

    Args:
        path: The file; made if it is not there.
        durable: True for the sense loop (a commit is on the disk when it returns).

    Raises:
        OutboxCorrupt: The file is no database that can be trusted; see `set_aside`.
        OutboxFull: No access or no room now.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        self._damaged: dict[int, QueuedBlock] = {}
        self._reported: set[int] = set()
        with _converted(path):
            self._db = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
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
        """Commits blocks, the stream's new end and what the sense loop must not forget, at once.

        Args:
            blocks: Consecutive blocks of `end.stream_id`, in order.
            end: The stream after these blocks.
            memory: Names and texts for `recall`.
            forget: Row ids of blocks whose loss these blocks declare.

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
        """The last stream's end, None for a new outbox."""
        row = self._row("SELECT stream_id, last, committed_at, tail_ms, clean FROM stream_end")
        if row is None:
            return None
        stream_id, last, committed_at, tail_ms, clean = row
        return StreamEnd(stream_id, last, committed_at, tail_ms, bool(clean))

    def recall(self, name: str) -> str | None:
        """The text committed under that name."""
        row = self._row("SELECT text FROM memory WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    def newest_row_id(self) -> int:
        """Row id of the newest block ever committed, 0 if there was none."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'block'")
        return 0 if row is None else int(row[0])

    def alerts(self, limit: int) -> list[QueuedBlock]:
        """The oldest blocks that hold alerts."""
        return self._blocks("alert = 1 ORDER BY row_id LIMIT ?", (limit,))

    def ordinary(self, from_row_id: int, before_row_id: int, limit: int) -> list[QueuedBlock]:
        """The oldest blocks without alerts whose row id is in [from, before)."""
        return self._blocks(
            "alert = 0 AND row_id >= ? AND row_id < ? ORDER BY row_id LIMIT ?",
            (from_row_id, before_row_id, limit),
        )

    def damaged(self) -> list[QueuedBlock]:
        """Blocks met since the last call whose bytes are not what was written: never sent."""
        found = [b for row_id, b in self._damaged.items() if row_id not in self._reported]
        self._reported.update(b.row_id for b in found)
        return found

    def delete(self, row_ids: Iterable[int]) -> None:
        """Forgets blocks that the cloud has acked."""
        with _converted(self.path), self._transaction():
            self._db.executemany("DELETE FROM block WHERE row_id = ?", [(r,) for r in row_ids])

    def state(self) -> QueueState:
        """How much waits."""
        row = self._row("SELECT count(*), coalesce(sum(length(payload)), 0) FROM block")
        return QueueState(*row) if row else QueueState(0, 0)

    def spans(self, limit: int) -> list[Span]:
        """What waits, as numbers: consecutive blocks merged, oldest first, at most `limit`."""
        spans: list[Span] = []
        for stream_id, first, last in self._rows(
            "SELECT stream_id, first, last FROM block ORDER BY row_id"
        ):
            if spans and (spans[-1].stream_id, spans[-1].last + 1) == (stream_id, first):
                spans[-1] = Span(stream_id=stream_id, first=spans[-1].first, last=last)
            elif len(spans) == limit:
                break
            else:
                spans.append(Span(stream_id=stream_id, first=first, last=last))
        return spans

    def _blocks(self, where: str, arguments: tuple[int, ...]) -> list[QueuedBlock]:
        rows = self._rows(
            "SELECT row_id, stream_id, first, last, alert, payload, crc32 FROM block "  # noqa: S608
            f"WHERE {where}",  # a constant of this class
            arguments,
        )
        return [block for block in map(self._checked, rows) if block is not None]

    def _checked(self, row: tuple[Any, ...]) -> QueuedBlock | None:
        row_id, stream_id, first, last, alert, payload, crc32 = row
        block = QueuedBlock(row_id, stream_id, first, last, bool(alert), payload)
        if zlib.crc32(payload) == crc32:
            return block
        self._damaged[row_id] = block
        return None

    def _row(self, sql: str, arguments: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        return next(iter(self._rows(sql, arguments)), None)

    def _rows(self, sql: str, arguments: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with _converted(self.path):
            yield from self._db.execute(sql, arguments)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
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
    except sqlite3.OperationalError as error:
        raise OutboxFull(f"{path}: {error}; the records are kept in memory") from error
    except sqlite3.DatabaseError as error:
        raise OutboxCorrupt(f"{path}: {error}") from error


def set_aside(path: Path, stamp: str) -> Path:
    """Renames a damaged outbox (with its journal) so that a new one can begin; never deletes it."""
    kept = path.with_name(f"{path.name}.corrupt.{stamp}")
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(kept.with_name(kept.name + suffix))
    return kept
