"""A stream's times: offsets on the monotonic clock, and what UTC they mean.

UTC enters by `follow` alone; between two calls an offset means the same instant, so that all
records of a block hang on one reading of the calendar.
"""

from dataclasses import dataclass

from edge.clock import SenseClock

__all__ = ["StreamTime", "Timeline"]

CLOCK_STEP_MS = 500  # UTC moved by more than this against the monotonic clock: it has jumped
CLOCK_DRIFT_MS = 10  # it was slewed by so much that an empty block may follow it


@dataclass(frozen=True, slots=True)
class Timeline:
    """How offsets of a stream map to the instants that conditions count their steps on.

    Attributes:
        stream_id: The stream.
        epoch_ms: UTC of offset 0, ms since 1970; None while the clock is not believable.
    """

    stream_id: str
    epoch_ms: int | None

    def of_offset(self, offset_ms: int) -> int:
        """The instant of an offset, ms."""
        return offset_ms + (self.epoch_ms or 0)

    def to_offset(self, at_ms: int) -> int:
        """The offset of an instant, ms; negative for what lies before the stream."""
        return at_ms - (self.epoch_ms or 0)


class StreamTime:
    """The times of one stream, which begins when this object is made."""

    def __init__(self, clock: SenseClock, stream_id: str) -> None:
        self._clock = clock
        self._origin_s = clock.monotonic_s()
        self.timeline = Timeline(stream_id, None)
        self.follow()

    def offset_ms(self) -> int:
        """Offset of this moment, ms."""
        return round((self._clock.monotonic_s() - self._origin_s) * 1000)

    def monotonic_s(self, offset_ms: int) -> float:
        """Monotonic seconds of an offset."""
        return self._origin_s + offset_ms / 1000

    def utc_of(self, offset_ms: int) -> int | None:
        """UTC of an offset, ms since 1970; None while it is not believable."""
        epoch_ms = self.timeline.epoch_ms
        return None if epoch_ms is None else epoch_ms + offset_ms

    @property
    def phase_s(self) -> float:
        """UTC minus monotonic seconds, 0 while UTC is unknown."""
        epoch_ms = self.timeline.epoch_ms
        return 0.0 if epoch_ms is None else epoch_ms / 1000 - self._origin_s

    def has_jumped(self) -> bool:
        """Whether UTC has become known, unknown, or moved by more than a slew."""
        return self._off_by_more_than(CLOCK_STEP_MS)

    def has_drifted(self) -> bool:
        """Whether UTC has moved by so little that nobody needs to be told, but noticeably."""
        return self._off_by_more_than(CLOCK_DRIFT_MS)

    def follow(self) -> int:
        """Takes UTC as it is now.

        Returns:
            New minus old instant of the time line, ms.
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
