"""Converts a stream's offsets on the monotonic clock to UTC and back.

Only `follow` reads UTC. Between two calls an offset means the same time, so that all records of a
block depend on one reading of the system clock.
"""

from dataclasses import dataclass

from edge.clock import SenseClock

__all__ = ["StreamTime", "Timeline"]

CLOCK_STEP_MS = 500  # a larger change of UTC against the monotonic clock is a jump
CLOCK_DRIFT_MS = 10  # after a larger change an empty block follows UTC


@dataclass(frozen=True, slots=True)
class Timeline:
    """Maps offsets of a stream to the times in which conditions count their steps.

    Attributes:
        stream_id: The stream.
        epoch_ms: UTC of offset 0, ms since 1970; None while the clock is not trusted.
    """

    stream_id: str
    epoch_ms: int | None

    def of_offset(self, offset_ms: int) -> int:
        """Returns the time of an offset, ms."""
        return offset_ms + (self.epoch_ms or 0)

    def to_offset(self, at_ms: int) -> int:
        """Returns the offset of a time, ms; negative before the stream's start."""
        return at_ms - (self.epoch_ms or 0)


class StreamTime:
    """Keeps the times of one stream, which begins when this object is created."""

    def __init__(self, clock: SenseClock, stream_id: str) -> None:
        self._clock = clock
        self._origin_s = clock.monotonic_s()
        self.timeline = Timeline(stream_id, None)
        self.follow()

    def offset_ms(self) -> int:
        """Returns the current offset, ms."""
        return round((self._clock.monotonic_s() - self._origin_s) * 1000)

    def monotonic_s(self, offset_ms: int) -> float:
        """Returns the monotonic seconds of an offset."""
        return self._origin_s + offset_ms / 1000

    def utc_of(self, offset_ms: int) -> int | None:
        """Returns UTC of an offset, ms since 1970; None while the clock is not trusted."""
        epoch_ms = self.timeline.epoch_ms
        return None if epoch_ms is None else epoch_ms + offset_ms

    @property
    def phase_s(self) -> float:
        """Returns UTC minus monotonic seconds; 0 while UTC is unknown."""
        epoch_ms = self.timeline.epoch_ms
        return 0.0 if epoch_ms is None else epoch_ms / 1000 - self._origin_s

    def has_jumped(self) -> bool:
        """Returns whether UTC has become known or unknown, or has changed by a jump."""
        return self._off_by_more_than(CLOCK_STEP_MS)

    def has_drifted(self) -> bool:
        """Returns whether UTC has changed by more than `CLOCK_DRIFT_MS`."""
        return self._off_by_more_than(CLOCK_DRIFT_MS)

    def follow(self) -> int:
        """Reads UTC again.

        Returns:
            New minus old time of an offset, ms.
        """
        old = self.timeline
        self.timeline = Timeline(old.stream_id, self._epoch_ms())
        return self.timeline.of_offset(0) - old.of_offset(0)

    def _off_by_more_than(self, limit_ms: int) -> bool:
        epoch_ms, known_ms = self._epoch_ms(), self.timeline.epoch_ms
        if epoch_ms is None or known_ms is None:
            return epoch_ms is not known_ms
        return abs(epoch_ms - known_ms) > limit_ms

    def _epoch_ms(self) -> int | None:
        utc_ms = self._clock.utc_ms()
        return None if utc_ms is None else utc_ms - self.offset_ms()
