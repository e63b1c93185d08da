"""What the lake is made of, in memory: positions, landed blocks and files, cursors.

A position (node, start, lane, n) names one committed file for ever, in the landing and in `raw`.
Files of one sequence (node, start, lane) are numbered without a gap and become visible in order;
sequences have no order among them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contract.topics import Lane

__all__ = [
    "RAW_FOLDER",
    "Cursor",
    "FileSequence",
    "Lake",
    "LandedBlock",
    "LandedFile",
    "Position",
]

RAW_FOLDER = "raw"  # of the table of every landed block, in the lake's folder


@dataclass(frozen=True, slots=True, order=True)
class FileSequence:
    """One run of one ingest process in one lane.

    Attributes:
        node: Name of the ingest process's node.
        start_id: Minted at each start of the process: `<UTC ms>-<random>`.
        lane: Lane of the subscription.
    """

    node: str
    start_id: str
    lane: Lane


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """One committed file: number `n`, counted from 1, of a sequence."""

    sequence: FileSequence
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedBlock:
    """One MQTT message as it came.

    Attributes:
        received_at: When ingest took it from the broker, ms since 1970 UTC.
        topic: Topic as received.
        device_id: From the topic.
        stream_id: From the payload; None if it could not be read.
        first: First number; None if it could not be read.
        last: Last number; None if it could not be read.
        payload: The bytes as received.
    """

    received_at: int
    topic: str
    device_id: str
    stream_id: str | None
    first: int | None
    last: int | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A committed file: durable as a whole, its blocks in order of arrival."""

    position: Position
    blocks: tuple[LandedBlock, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a projection has come: per sequence the number of the last file it has written."""

    passed: Mapping[FileSequence, int] = field(default_factory=dict)

    def covers(self, position: Position) -> bool:
        """Whether the file at `position` has been written."""
        return position.n <= self.passed.get(position.sequence, 0)

    def after(self, positions: Sequence[Position]) -> "Cursor":
        """The cursor once the files at `positions` have been written too."""
        passed = dict(self.passed)
        for position in positions:
            passed[position.sequence] = max(position.n, passed.get(position.sequence, 0))
        return Cursor(passed)


class Lake(Protocol):
    """What projections read."""

    def after(self, cursor: Cursor) -> Iterator[LandedFile]:
        """Committed files beyond the cursor, each sequence in order, from landing or `raw`."""
        ...
