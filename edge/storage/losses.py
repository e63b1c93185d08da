"""Creates Loss records, which report lost readings; most of these have no numbers."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from contract.records import Loss, LossReason, Span
from edge.storage.open_block import Measured
from edge.storage.queued import QueuedBlock
from edge.storage.stream_end import Kept, StreamEnd

__all__ = ["Dropped", "Left", "kept_in_memory", "missing", "unclean_stop", "unreadable"]

log = logging.getLogger(__name__)

_MOST_SPANS = 1000  # of missing numbers, in one block


def unclean_stop(
    previous: StreamEnd, now_ms: int | None, readings_in: Callable[[float], int]
) -> Loss:
    """Returns the Loss of a stream's uncommitted samples after an unclean stop.

    Args:
        previous: The stream's state at its last commit.
        now_ms: UTC at this start, ms; None if unknown.
        readings_in: Returns the number of readings that the sensors make in a time, seconds.
    """
    from_at, to_at, lost_ms = previous.committed_at, None, previous.tail_ms
    if from_at is not None and now_ms is not None and now_ms >= from_at:
        to_at = min(now_ms, from_at + previous.tail_ms)
        lost_ms = to_at - from_at
    return Loss(
        reason=LossReason.UNCLEAN_STOP,
        from_at=from_at,
        to_at=to_at,
        estimated_total=readings_in(lost_ms / 1000),
    )


def kept_in_memory(
    kept: Kept, now_ms: int | None, retry_ms: int, readings_in: Callable[[float], int]
) -> Loss:
    """Returns the Loss of records that waited in memory when the process died.

    Args:
        kept: The last count before the process died.
        now_ms: UTC at this start, ms; None if unknown.
        retry_ms: Longest time between two counts, ms.
        readings_in: Returns the number of readings that the sensors make in a time, seconds.
    """
    to_at, later_ms = None, retry_ms
    if kept.to_at is not None:
        to_at = kept.to_at + retry_ms
        if now_ms is not None:
            to_at = max(kept.to_at, min(now_ms, to_at))
        later_ms = to_at - kept.to_at
    return Loss(
        reason=LossReason.UNCLEAN_STOP,
        from_at=kept.from_at,
        to_at=to_at,
        estimated_total=kept.records + readings_in(later_ms / 1000),
    )


def missing(ends: Iterable[tuple[str, int]], held: Iterable[Span]) -> list[Loss]:
    """Returns the Losses of all numbers that an outbox no longer contains.

    Numbers that the cloud has acked are among them, because a damaged outbox cannot say which they
    were. The ledger counts these as stored.

    Args:
        ends: Streams and their last numbers.
        held: Numbers in the outbox.
    """
    by_stream: dict[str, list[Span]] = {}
    for span in held:
        by_stream.setdefault(span.stream_id, []).append(span)
    spans: list[Span] = []
    for stream_id, last in ends:
        spans += _between(stream_id, last, by_stream.get(stream_id, []))
    return [Loss(reason=LossReason.CORRUPT, lost=span) for span in _fewer(spans)]


def _between(stream_id: str, last: int, held: Iterable[Span]) -> list[Span]:
    spans, first = [], 1
    for one in sorted(held, key=lambda span: span.first):
        if one.first > first:
            spans.append(Span(stream_id=stream_id, first=first, last=one.first - 1))
        first = max(first, one.last + 1)
    if first <= last:
        spans.append(Span(stream_id=stream_id, first=first, last=last))
    return spans


def _fewer(spans: list[Span]) -> list[Span]:
    """Returns spans that fit into a block: beyond the limit, one for the rest of each stream.

    Such a span contains numbers that are held; the ledger counts them as stored once they arrive.
    """
    rest: dict[str, Span] = {}
    for span in spans[_MOST_SPANS:]:
        first = rest.get(span.stream_id, span).first
        rest[span.stream_id] = Span(stream_id=span.stream_id, first=first, last=span.last)
    return [*spans[:_MOST_SPANS], *rest.values()]


def unreadable(block: QueuedBlock) -> Loss:
    """Returns the Loss of a block with damaged bytes."""
    log.error("outbox: records %d-%d are damaged and lost", block.first, block.last)
    lost = Span(stream_id=block.stream_id, first=block.first, last=block.last)
    return Loss(reason=LossReason.CORRUPT, lost=lost)


@dataclass(frozen=True, slots=True)
class Left:
    """Describes what the streams before this one left.

    Attributes:
        previous: The stream before this one in the outbox; None if there was none.
        last: The stream that committed last. It differs from `previous` if the outbox was replaced
            by an older copy.
        losses: Numbers that were committed and are no longer in the outbox.
        kept: Records that were only in memory when the process died; None if there were none.
    """

    previous: StreamEnd | None
    last: StreamEnd | None
    losses: tuple[Loss, ...] = ()
    kept: Kept | None = None

    def reports(
        self, now_ms: int | None, retry_ms: int, readings_in: Callable[[float], int]
    ) -> Iterator[Loss]:
        """Yields the Losses for the first block of the new stream.

        Args:
            now_ms: UTC at this start, ms; None if unknown.
            retry_ms: Longest time between two counts of kept records, ms.
            readings_in: Returns the number of readings that the sensors make in a time, seconds.
        """
        if self.last is not None and not self.last.clean:
            yield unclean_stop(self.last, now_ms, readings_in)
        if self.kept is not None:
            yield kept_in_memory(self.kept, now_ms, retry_ms, readings_in)
        yield from self.losses


@dataclass(slots=True)
class Dropped:
    """Counts readings that were dropped because commits failed and the memory was full."""

    from_offset_ms: int = 0
    to_offset_ms: int = 0
    readings_total: int = 0

    def add(self, measured: Measured) -> None:
        """Counts one reading of a sensor."""
        if not self.readings_total:
            log.error("the memory for uncommitted readings is full: new readings are lost")
            self.from_offset_ms = measured.offset_ms
        self.to_offset_ms = measured.offset_ms
        self.readings_total += len(measured.values)

    def kept(self, utc_of: Callable[[int], int | None]) -> Kept | None:
        """Returns the count as it is noted at a commit; None if nothing was dropped."""
        if not self.readings_total:
            return None
        return Kept(self.readings_total, utc_of(self.from_offset_ms), utc_of(self.to_offset_ms))

    def told(self, utc_of: Callable[[int], int | None]) -> Loss:
        """Returns the Loss of the dropped readings, and resets the count."""
        loss = Loss(
            reason=LossReason.BUDGET,
            from_at=utc_of(self.from_offset_ms),
            to_at=utc_of(self.to_offset_ms),
            estimated_total=self.readings_total,
        )
        self.readings_total = 0
        return loss
