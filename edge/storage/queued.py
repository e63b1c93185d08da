"""Defines what goes into the outbox and comes out of it: blocks, and the size of the queue."""

from dataclasses import dataclass

__all__ = ["Encoded", "QueueState", "QueuedBlock"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A block ready to be committed.

    Attributes:
        first: Number of the first record.
        last: Number of the last record.
        alert: Whether the block contains an alert; if so, it is sent first.
        payload: The encoded block.
    """

    first: int
    last: int
    alert: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class QueuedBlock:
    """A committed block that the cloud has not acked yet.

    Attributes:
        row_id: Row id; grows with each commit and is never used twice.
        stream_id: Stream of the records.
        first: Number of the first record.
        last: Number of the last record.
        alert: Whether the block contains an alert.
        payload: The bytes to send.
    """

    row_id: int
    stream_id: str
    first: int
    last: int
    alert: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class QueueState:
    """Describes the queue's size.

    Attributes:
        blocks: Number of blocks in the queue.
        payload_bytes: Total size of the blocks, bytes.
    """

    blocks: int
    payload_bytes: int
