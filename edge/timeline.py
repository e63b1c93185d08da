"""The time line that conditions are judged on: UTC if it is believed, else stream offsets."""

from dataclasses import dataclass

__all__ = ["Timeline"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """How offsets of a stream map to the instants that steps count on.

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
