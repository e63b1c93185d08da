"""The journal: gives records their numbers and makes them durable, block by block.

Owns the open block and the stream's numbers; the only writer of the outbox's blocks. Times come
from outside as offsets. A commit that fails leaves everything open, so the next one takes it along.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from contract.blocks import Block, TimedEvent, kinds_total
from contract.records import Alert
from contract.wire import encode
from edge.open_block import Measured, OpenBlock
from edge.outbox import Encoded, Outbox, StreamEnd

__all__ = ["Committed", "Journal", "Tail", "trace_line"]


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit made durable.

    Attributes:
        blocks: In the order of their numbers.
    """

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tail:
    """What the journal notes for a start that follows a sudden end.

    Attributes:
        offset_ms: Offset of the commit in the stream.
        utc_at: UTC at the same instant, ms, None if not believable.
        tail_ms: How long after a commit samples can wait for the next one.
        clean: Whether the stream ends here in order.
    """

    offset_ms: int
    utc_at: int | None
    tail_ms: int
    clean: bool = False


class Journal:
    """Numbers and commits the records of one stream.

    Args:
        outbox: The sense loop's durable connection.
        stream_id: Minted at this start.
        on_commit: Told after each commit has returned.
    """

    def __init__(
        self, outbox: Outbox, stream_id: str, on_commit: Callable[[Committed], None]
    ) -> None:
        self.stream_id = stream_id
        self._outbox = outbox
        self._on_commit = on_commit
        self._last = 0
        self._open = OpenBlock()

    @property
    def last(self) -> int:
        """Number of the last committed record."""
        return self._last

    @property
    def open_records(self) -> int:
        """Records that are not committed yet."""
        return self._open.records_total

    @property
    def opened(self) -> tuple[int, int | None] | None:
        """Offset and UTC (ms) at which the open block was begun, None if it is empty."""
        return self._open.opened

    def add_reading(self, measured: Measured, utc_at: int | None) -> None:
        """Appends a reading to the open block; `utc_at` is the clock's word at its offset."""
        self._open.open_at(measured.offset_ms, utc_at)
        self._open.add_reading(measured)

    def add_event(self, event: TimedEvent, utc_at: int | None) -> None:
        """Appends an event that can wait for the rhythm."""
        self._open.open_at(event.offset_ms, utc_at)
        self._open.add_event(event.offset_ms, event.event)

    def commit(
        self,
        tail: Tail,
        urgent: Sequence[TimedEvent] = (),
        memory: Iterable[tuple[str, str]] = (),
        forget: Iterable[int] = (),
    ) -> None:
        """Commits the open block, and behind it the urgent events as a block of their own, at once.

        Raises:
            OutboxFull: Nothing was committed; the open block stays, the caller keeps `urgent`.
        """
        blocks = self._closed(urgent, tail)
        if not blocks:
            return
        last = blocks[-1].last
        end = StreamEnd(self.stream_id, last, tail.utc_at, tail.tail_ms, tail.clean)
        self._outbox.commit([_encoded(block) for block in blocks], end, memory, forget)
        self._last = last
        self._open = OpenBlock()
        self._on_commit(Committed(tuple(blocks)))

    def _closed(self, urgent: Sequence[TimedEvent], tail: Tail) -> list[Block]:
        blocks = []
        first = self._last + 1
        if self._open.records_total:
            blocks.append(self._open.close(self.stream_id, first))
            first = blocks[-1].last + 1
        if urgent:
            block = OpenBlock()
            block.open_at(tail.offset_ms, tail.utc_at)
            for event in urgent:
                block.add_event(event.offset_ms, event.event)
            blocks.append(block.close(self.stream_id, first))
        return blocks


def _encoded(block: Block) -> Encoded:
    alert = any(isinstance(timed.event, Alert) for timed in block.events)
    return Encoded(block.first, block.last, alert, encode(block))


def trace_line(block: Block) -> str:
    """One committed block for an observer outside the process: JSON, one line."""
    kinds = {kind.value: total for kind, total in kinds_total(block).items()}
    line = {"stream": block.stream_id, "first": block.first, "last": block.last, "kinds": kinds}
    return json.dumps(line, separators=(",", ":")) + "\n"
