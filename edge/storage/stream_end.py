"""Describes the end of a stream, for the next start."""

import json
import zlib
from dataclasses import dataclass

__all__ = ["Kept", "StreamEnd"]


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Describes a stream at its last commit, for the next start.

    Attributes:
        stream_id: The stream.
        last: Number of the last committed record.
        committed_at: UTC of that commit, ms; None if the clock was not trusted.
        tail_ms: Longest time after the commit, ms, of which an unclean stop can lose samples. Later
            samples would have come after another commit.
        clean: Whether the stream ended cleanly.
    """

    stream_id: str
    last: int
    committed_at: int | None
    tail_ms: int
    clean: bool

    @property
    def crc32(self) -> int:
        """Returns the checksum that is stored beside these values."""
        values = (self.stream_id, self.last, self.committed_at, self.tail_ms, bool(self.clean))
        return zlib.crc32(json.dumps(values).encode())


@dataclass(frozen=True, slots=True)
class Kept:
    """Counts records that were kept in memory because commits failed.

    Attributes:
        records: Number of records, including those dropped because the memory was full.
        from_at: UTC of the first failed commit, ms; None if unknown.
        to_at: UTC of the count, ms; None if unknown.
    """

    records: int
    from_at: int | None
    to_at: int | None
