"""What is lost and how that is told: Loss records, most of them without numbers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from contract.records import Loss, LossReason, Span
from edge.storage.open_block import Measured
from edge.storage.outbox import QueuedBlock, StreamEnd

__all__ = ["Dropped", "unclean_stop", "unreadable"]

log = logging.getLogger(__name__)


def unclean_stop(
    previous: StreamEnd, now_ms: int | None, readings_in: Callable[[float], int]
) -> Loss:
    """What a stream that ended suddenly had sampled and not committed.

    Args:
        previous: Where that stream stood at its last commit.
        now_ms: UTC at this start, ms; None if unknown.
        readings_in: How many readings the sensors make in so many seconds.
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


def unreadable(block: QueuedBlock) -> Loss:
    """What a block held whose bytes are no longer what was written."""
    log.error("outbox: numbers %d-%d are unreadable: lost", block.first, block.last)
    lost = Span(stream_id=block.stream_id, first=block.first, last=block.last)
    return Loss(reason=LossReason.CORRUPT, lost=lost)


@dataclass(slots=True)
class Dropped:
    """Readings that found no room in memory while the disk refused: counted, told once it takes."""

    from_offset_ms: int = 0
    to_offset_ms: int = 0
    readings_total: int = 0

    def add(self, measured: Measured) -> None:
        """Counts one reading of a sensor."""
        if not self.readings_total:
            log.error("the memory for uncommitted readings is full: from now on they are lost")
            self.from_offset_ms = measured.offset_ms
        self.to_offset_ms = measured.offset_ms
        self.readings_total += len(measured.values)

    def told(self, utc_of: Callable[[int], int | None]) -> Loss:
        """The record of what was dropped; the count begins anew."""
        loss = Loss(
            reason=LossReason.BUDGET,
            from_at=utc_of(self.from_offset_ms),
            to_at=utc_of(self.to_offset_ms),
            estimated_total=self.readings_total,
        )
        self.readings_total = 0
        return loss
