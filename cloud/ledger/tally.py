"""Counts what is stored of each stream, from its sorted deliveries. Pure.

A delivery is a block in a committed file. Deliveries are sorted by (first, last, precedence) and
read one by one, so millions of them need only the memory of one tally (the counts of a stream).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from cloud.ledger.facts import BlockFact
from cloud.ledger.spans import Run, RunMerger, Runs
from contract.records import Kind

__all__ = ["BlockLine", "Conflict", "Tally", "block_lines", "tallies"]

_CONFLICTS_NAMED = 20  # limits memory for hostile input; all numbers are counted nevertheless


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLine:
    """One distinct block of a stream, in the proof's list."""

    device_id: str
    stream_id: str
    first: int
    last: int
    digest: str

    def __str__(self) -> str:
        return f"{self.first} {self.last} {self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two blocks that have the same numbers but different bytes.

    Attributes:
        numbers: The numbers that both have.
        winner: Digest of the block that was received first.
        loser: Digest of the other block.
    """

    numbers: Run
    winner: str
    loser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of what is stored of one stream.

    Attributes:
        device_id: The device.
        stream_id: The stream.
        stored: Stored numbers of the stream.
        doubled: Stored numbers that two different blocks have.
        conflicts: The first pairs of such blocks, by their numbers.
        blocks_total: Number of distinct blocks.
        repeated_total: Number of repeated deliveries of a block; harmless.
        payload_bytes: Payload bytes of the distinct blocks.
        totals: Records by kind in the distinct blocks; each range counts once.
        first_at: Earliest time, ms since 1970 UTC; None if none is known.
        last_at: Latest time, ms since 1970 UTC; None if none is known.
        sha256: Hash of the lines `first last digest` of the distinct blocks, sorted by all three.
    """

    device_id: str
    stream_id: str
    stored: Runs
    doubled: Runs
    conflicts: tuple[Conflict, ...]
    blocks_total: int
    repeated_total: int
    payload_bytes: int
    totals: tuple[tuple[Kind, int], ...]
    first_at: int | None
    last_at: int | None
    sha256: str


def tallies(deliveries: Iterable[BlockFact]) -> Iterator[Tally]:
    """Returns one tally per stream; deliveries are sorted by device, stream and as above."""
    for (device_id, stream_id), stream in groupby(
        deliveries, key=lambda d: (d.device_id, d.stream_id)
    ):
        counter = _Counter()
        for distinct in _same_numbers(stream):
            counter.add(distinct)
        yield counter.tally(device_id, stream_id)


def block_lines(deliveries: Iterable[BlockFact]) -> Iterator[BlockLine]:
    """Returns the lines that `Tally.sha256` hashes; each is hashed with a newline."""
    for (device_id, stream_id), stream in groupby(
        deliveries, key=lambda d: (d.device_id, d.stream_id)
    ):
        for distinct in _same_numbers(stream):
            for digest in sorted(d.digest for d in distinct.blocks):
                yield BlockLine(
                    device_id=device_id,
                    stream_id=stream_id,
                    first=distinct.blocks[0].first,
                    last=distinct.blocks[0].last,
                    digest=digest,
                )


@dataclass(frozen=True, slots=True)
class _SameNumbers:
    """Distinct blocks of one range, the winner first, and the number of their deliveries."""

    blocks: tuple[BlockFact, ...]
    deliveries_total: int


def _same_numbers(stream: Iterable[BlockFact]) -> Iterator[_SameNumbers]:
    for _, group in groupby(stream, key=lambda d: (d.first, d.last)):
        blocks: dict[str, BlockFact] = {}
        deliveries_total = 0
        for delivery in group:
            blocks.setdefault(delivery.digest, delivery)
            deliveries_total += 1
        yield _SameNumbers(tuple(blocks.values()), deliveries_total)


class _Counter:
    def __init__(self) -> None:
        self._stored, self._doubled = RunMerger(), RunMerger()
        self._open: list[BlockFact] = []  # blocks that a later one can still overlap
        self._conflicts: list[Conflict] = []
        self._totals: Counter[Kind] = Counter()
        self._blocks_total = self._repeated_total = self._payload_bytes = 0
        self._times: tuple[int, int] | None = None
        self._hash = hashlib.sha256()

    def add(self, distinct: _SameNumbers) -> None:
        first, last = distinct.blocks[0].first, distinct.blocks[0].last
        self._compare(distinct)
        self._stored.add(first, last)
        self._blocks_total += len(distinct.blocks)
        self._repeated_total += distinct.deliveries_total - len(distinct.blocks)
        self._totals.update(dict(distinct.blocks[0].totals))
        for block in sorted(distinct.blocks, key=lambda b: b.digest):
            self._payload_bytes += block.payload_bytes
            self._hash.update(f"{first} {last} {block.digest}\n".encode())
            self._widen(block)

    def _compare(self, distinct: _SameNumbers) -> None:
        first = distinct.blocks[0].first
        self._open = [b for b in self._open if b.last >= first]
        for block in distinct.blocks:
            for other in self._open:
                self._doubled.add(first, min(block.last, other.last))
                self._name(other, block)
            # A hostile device could make this list long, so only the blocks that reach furthest
            # are kept; they suffice to find doubled numbers. Of equal ones, the earliest stay.
            self._open = sorted([*self._open, block], key=lambda b: -b.last)[:_CONFLICTS_NAMED]

    def _name(self, one: BlockFact, other: BlockFact) -> None:
        if len(self._conflicts) == _CONFLICTS_NAMED:
            return
        winner, loser = sorted((one, other), key=lambda d: d.precedence)
        self._conflicts.append(
            Conflict(
                numbers=Run(max(one.first, other.first), min(one.last, other.last)),
                winner=winner.digest,
                loser=loser.digest,
            )
        )

    def _widen(self, block: BlockFact) -> None:
        if block.first_at is None or block.last_at is None:
            return
        low, high = self._times or (block.first_at, block.last_at)
        self._times = (min(low, block.first_at), max(high, block.last_at))

    def tally(self, device_id: str, stream_id: str) -> Tally:
        return Tally(
            device_id=device_id,
            stream_id=stream_id,
            stored=self._stored.runs(),
            doubled=self._doubled.runs(),
            conflicts=tuple(self._conflicts),
            blocks_total=self._blocks_total,
            repeated_total=self._repeated_total,
            payload_bytes=self._payload_bytes,
            totals=tuple(sorted(self._totals.items())),
            first_at=self._times[0] if self._times else None,
            last_at=self._times[1] if self._times else None,
            sha256=self._hash.hexdigest(),
        )
