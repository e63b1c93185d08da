"""Creates Loss records, which report lost readings; most of these have no numbers."""

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


def unreadable(block: QueuedBlock) -> Loss:
    """Returns the Loss of a block with damaged bytes."""
    log.error("outbox: records %d-%d are damaged and lost", block.first, block.last)
    lost = Span(stream_id=block.stream_id, first=block.first, last=block.last)
    return Loss(reason=LossReason.CORRUPT, lost=lost)


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
