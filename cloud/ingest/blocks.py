"""Makes landed blocks from messages, and acks from landed blocks. Pure."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from cloud.lake.positions import LandedBlock
from contract.acks import Ack
from contract.errors import ContractError
from contract.keys import payload_digest
from contract.records import Span
from contract.wire import decode_header

__all__ = ["acks_of", "landed_block"]

T = TypeVar("T")

_ENTRIES = 500  # each has at most 82 bytes, so an ack stays below contract.acks.MAX_ACK_BYTES


def landed_block(topic: str, device_id: str, payload: bytes, received_at: int) -> LandedBlock:
    """Makes the lake's row of a message; reads only the numbers that the ack needs.

    A payload without readable numbers, or beyond the limits for new blocks, has no stream. Readers
    of the lake check all other rules.
    """
    try:
        header = decode_header(payload)
    except ContractError:
        stream_id = first = last = None
    else:
        stream_id, first, last = header.stream_id, header.first, header.last
    return LandedBlock(
        received_at=received_at,
        topic=topic,
        device_id=device_id,
        stream_id=stream_id,
        first=first,
        last=last,
        payload=payload,
    )


def acks_of(blocks: Sequence[LandedBlock]) -> Iterator[tuple[str, Ack]]:
    """Returns the acks of one committed file, each with its device and within the size limit."""
    for device_id in dict.fromkeys(b.device_id for b in blocks):
        mine = [b for b in blocks if b.device_id == device_id]
        spans = tuple(_merged(mine))
        unread = {payload_digest(b.payload): None for b in mine if b.stream_id is None}
        for part in _parts(spans):
            yield device_id, Ack(spans=part)
        for digests in _parts(tuple(unread)):
            yield device_id, Ack(digests=digests)


def _merged(blocks: Iterable[LandedBlock]) -> Iterator[Span]:
    """Returns the spans of the readable blocks; consecutive numbers share one span."""
    numbers = sorted(
        (b.stream_id, b.first, b.last)
        for b in blocks
        if b.stream_id is not None and b.first is not None and b.last is not None
    )
    for stream_id, group in itertools.groupby(numbers, key=lambda n: n[0]):
        begin = end = 0
        for _, first, last in group:
            if begin and first > end + 1:
                yield Span(stream_id=stream_id, first=begin, last=end)
                begin = 0
            begin = begin or first
            end = max(end, last)
        yield Span(stream_id=stream_id, first=begin, last=end)


def _parts(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    yield from (items[i : i + _ENTRIES] for i in range(0, len(items), _ENTRIES))
