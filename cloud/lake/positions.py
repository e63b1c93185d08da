"""Defines the lake's values in memory: positions of files, landed blocks and files, cursors.

A position (node, start, lane, n) identifies one committed file permanently, in the landing and in
table `raw`. Files of one sequence (node, start, lane) are numbered without gaps and become visible
in the order of their numbers. Different sequences have no order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contract.limits import NEW, STORED, Limits
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

RAW_FOLDER = "raw"  # folder of the table of all landed blocks, in the lake's folder


@dataclass(frozen=True, slots=True, order=True)
class FileSequence:
    """The files of one run of an ingest process in one lane.

    Attributes:
        node: Name of the ingest process's node.
        start_id: New id of each start of the process: `<UTC ms>-<random>`.
        lane: Lane of the subscription.
    """

    node: str
    start_id: str
    lane: Lane


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Position of one committed file: number `n` of a sequence, from 1."""

    sequence: FileSequence
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedBlock:
    """One MQTT message as received.

    Attributes:
        received_at: When ingest received it from the broker, ms since 1970 UTC.
        topic: Topic as received.
        device_id: Device in the topic.
        stream_id: Stream in the payload; None if the payload cannot be decoded.
        first: First record number; None if the payload cannot be decoded.
        last: Last record number; None if the payload cannot be decoded.
        payload: The bytes as received.
    """

    received_at: int
    topic: str
    device_id: str
    stream_id: str | None
    first: int | None
    last: int | None
    payload: bytes

    @property
    def limits(self) -> Limits:
        """Limits for decoding the payload.

        Ingest leaves out the stream of a payload beyond the limits for new blocks. A block with a
        stream may be older than these limits, and remains readable.
        """
        return NEW if self.stream_id is None else STORED


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A committed file, with its blocks in the order of arrival."""

    position: Position
    blocks: tuple[LandedBlock, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a projection has read: for each sequence, the number of the last applied file."""

    passed: Mapping[FileSequence, int] = field(default_factory=dict)

    def covers(self, position: Position) -> bool:
        """Returns whether the file at `position` has been applied."""
        return position.n <= self.passed.get(position.sequence, 0)

    def after(self, positions: Sequence[Position]) -> "Cursor":
        """Returns the cursor after the files at `positions` have been applied too."""
        passed = dict(self.passed)
        for position in positions:
            passed[position.sequence] = max(position.n, passed.get(position.sequence, 0))
        return Cursor(passed)


class Lake(Protocol):
    """The lake, as projections read it."""

    def after(self, cursor: Cursor) -> Iterator[LandedFile]:
        """Returns committed files beyond the cursor, in order per sequence."""
        ...
