"""The outbox: the durable queue between the sense loop and the send loop, one SQLite file.

One row is one committed block. WAL with synchronous FULL: when `commit` returns, the block survives
a power cut. Deleting acked blocks need not be durable (a block sent twice is stored once), so the
send loop's connection is synchronous NORMAL and costs no fsync. Start-up reads a few rows, never
the backlog. Raw statements here; the schema's migrations are in `edge.storage.outbox_schema`.
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
_NO_ROW_ID = 2**63 - 1  # above all that SQLite gives


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
    """One connection to the queue; each thread opens its own and uses no other.

    Args:
        path: The file; made if it is not there.
        durable: True for the sense loop (a commit is on the disk when it returns).

    Raises:
        OutboxCorrupt: The file is no database that can be trusted; see `edge.storage.recovery`.
        OutboxFull: No access or no room now.
        OutboxNewer: A newer dewline wrote it.
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
        row = self._row("SELECT text FROM memory WHERE name = ?", name)
        return None if row is None else str(row[0])

    def newest_row_id(self) -> int:
        """Row id of the newest block ever committed, 0 if there was none."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'block'")
        return 0 if row is None else int(row[0])

    def alerts(self, from_row_id: int, limit: int) -> list[QueuedBlock]:
        """The oldest blocks that hold alerts, from that row id on."""
        return self._blocks("alert = 1", from_row_id, _NO_ROW_ID, limit)

    def ordinary(self, from_row_id: int, before_row_id: int, limit: int) -> list[QueuedBlock]:
        """The oldest blocks without alerts whose row id is in [from, before)."""
        return self._blocks("alert = 0", from_row_id, before_row_id, limit)

    def ordinary_before(self, row_id: int) -> bool:
        """Whether a block without alerts waits whose row id is lower."""
        return self._row("SELECT 1 FROM block WHERE alert = 0 AND row_id < ?", row_id) is not None

    def empty(self) -> bool:
        """Whether nothing waits; reads one row, `state` reads them all."""
        return self._row("SELECT 1 FROM block") is None

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
        """How much waits; 100,000 blocks take some 50 ms."""
        row = self._row("SELECT count(*), coalesce(sum(length(payload)), 0) FROM block")
        return QueueState(*row) if row else QueueState(0, 0)

    def spans(self, limit: int) -> list[Span]:
        """What waits, as numbers: consecutive blocks merged, oldest first, at most `limit`."""
        # consecutive numbers stand in consecutive rows, so a span begins where the row before is no
        # predecessor; a loop over all rows in Python takes 8 times as long
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
            from_row_id = rows[-1][0] + 1  # all damaged: they must not hide what is behind them
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
            raise  # a mistake of this program, such as a broken constraint: the file is good
        raise OutboxCorrupt(f"{path}: {error}") from error
