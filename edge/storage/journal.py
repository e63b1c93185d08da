"""Gives records their numbers and makes them durable, block by block.

The journal owns the open block and the stream's numbers, and is the only writer of the outbox's
blocks. Callers pass times as offsets. A failed commit loses nothing: its blocks are closed and
encoded, and wait for the next commit.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from contract.blocks import Block, TimedEvent, kinds_total
from contract.records import Alert, Event
from contract.wire import encode
from edge.storage.open_block import Measured, OpenBlock
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.stream_end import Kept, StreamEnd

__all__ = ["Committed", "Journal", "Tail", "trace_line"]


@dataclass(frozen=True, slots=True)
class Committed:
    """Holds the blocks of one commit.

    Attributes:
        blocks: The blocks, in the order of their numbers.
    """

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tail:
    """Describes a commit, for a start that follows an unclean stop.

    Attributes:
        offset_ms: Offset of the commit in the stream.
        utc_at: UTC at the same time, ms; None if the clock is not trusted.
        tail_ms: Longest time that samples can wait for the next commit, ms.
        clean: Whether the stream ends cleanly with this commit.
    """

    offset_ms: int
    utc_at: int | None
    tail_ms: int
    clean: bool = False


class Journal:
    """Numbers and commits the records of one stream.

    Args:
        outbox: The sense loop's durable connection.
        stream_id: Id of the stream, created at this start.
        on_commit: Called after each commit has returned.
    """

    def __init__(
        self, outbox: Outbox, stream_id: str, on_commit: Callable[[Committed], None]
    ) -> None:
        self.stream_id = stream_id
        self._outbox = outbox
        self._on_commit = on_commit
        self._last = 0
        self._open = OpenBlock()
        self._closed: list[tuple[Block, Encoded]] = []

    @property
    def last(self) -> int:
        """Returns the number of the last committed record."""
        return self._last

    @property
    def open_records(self) -> int:
        """Returns the number of records in the open block."""
        return self._open.records_total

    @property
    def uncommitted_records(self) -> int:
        """Returns the number of records not on the disk: in the open block or failed commits."""
        return self._last_closed - self._last + self._open.records_total

    @property
    def opened(self) -> tuple[int, int | None] | None:
        """Returns offset and UTC (ms) at which the open block began; None if it is empty."""
        return self._open.opened

    def add_reading(self, measured: Measured, utc_at: int | None) -> None:
        """Appends a reading to the open block; `utc_at` is UTC at the reading's offset."""
        self._make_room_for(measured)
        self._open.open_at(measured.offset_ms, utc_at)
        self._open.add_reading(measured)

    def add_event(self, event: TimedEvent, utc_at: int | None) -> None:
        """Appends an event that can wait for the next regular commit."""
        self._make_room_for(event.event)
        self._open.open_at(event.offset_ms, utc_at)
        self._open.add_event(event.offset_ms, event.event)

    def commit(
        self,
        tail: Tail,
        urgent: Sequence[TimedEvent] = (),
        memory: Iterable[tuple[str, str]] = (),
        forget: Iterable[int] = (),
        dropped: Kept | None = None,
    ) -> bool:
        """Commits the open block and, after it, the urgent events as a separate block.

        Both go into one transaction, with all blocks of earlier failed commits.

        Returns:
            Whether there was anything to commit; if not, `memory` and `forget` were not used.

        Raises:
            OutboxError: Nothing was committed. The blocks are kept, with the urgent events; the
                caller must pass `memory` and `forget` again.
        """
        self._close(self._open)
        self._open = OpenBlock()
        for block in _urgent_blocks(urgent, tail):
            self._close(block)
        if not self._closed:
            return False
        last = self._last_closed
        end = StreamEnd(self.stream_id, last, tail.utc_at, tail.tail_ms, tail.clean)
        self._outbox.commit([encoded for _, encoded in self._closed], end, memory, forget, dropped)
        committed = Committed(tuple(block for block, _ in self._closed))
        self._last, self._closed = last, []
        self._on_commit(committed)
        return True

    def continue_on(self, outbox: Outbox) -> None:
        """Commits to another outbox from now on, a copy of the one before."""
        self._outbox = outbox

    @property
    def _last_closed(self) -> int:
        return self._closed[-1][0].last if self._closed else self._last

    def _make_room_for(self, added: Measured | Event) -> None:
        """Closes the open block if the record would exceed a limit; the next commit takes it."""
        if not self._open.has_room_for(added):
            self._close(self._open)
            self._open = OpenBlock()

    def _close(self, filled: OpenBlock) -> None:
        if filled.records_total:
            block = filled.close(self.stream_id, self._last_closed + 1)
            alert = any(isinstance(timed.event, Alert) for timed in block.events)
            self._closed.append((block, Encoded(block.first, block.last, alert, encode(block))))


def _urgent_blocks(urgent: Sequence[TimedEvent], tail: Tail) -> Iterator[OpenBlock]:
    block = OpenBlock()
    for timed in urgent:
        if not block.has_room_for(timed.event):
            yield block
            block = OpenBlock()
        block.open_at(tail.offset_ms, tail.utc_at)
        block.add_event(timed.offset_ms, timed.event)
    yield block


def trace_line(block: Block) -> str:
    """Returns one line of JSON about a committed block, for an observer outside the process."""
    kinds = {kind.value: total for kind, total in kinds_total(block).items()}
    line = {"stream": block.stream_id, "first": block.first, "last": block.last, "kinds": kinds}
    return json.dumps(line, separators=(",", ":")) + "\n"
