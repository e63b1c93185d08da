"""Checks that the search server has each record of the lake exactly once.

It counts distinct keys in the lake's payloads and documents in the search server, per kind and
stream. The projection's cursor is not used.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cloud.clock_fix import Fix, first_fix, fixes_of
from cloud.lake.positions import LandedFile
from cloud.plausible import set_aside
from cloud.search.documents import BlockContext
from cloud.search.names import IndexNames
from cloud.search.query import EVERYTHING, Filter, StreamCount
from cloud.search.retention import Kept, retired
from contract.blocks import Block, kind_of
from contract.errors import ContractError
from contract.records import Kind
from contract.wire import decode

__all__ = [
    "Counted",
    "StreamComparison",
    "StreamOfKind",
    "compare",
    "keys_in_lake",
    "search_counts",
    "totals",
]

_UNMERGED = 1024  # spans that are collected before they are merged


@dataclass(frozen=True, slots=True, order=True)
class StreamOfKind:
    """The records of one kind in one stream."""

    kind: Kind
    device_id: str
    stream_id: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Number of records, and the sum of their record numbers.

    The sum shows a case that the count hides: one record is missing and another exists twice.
    """

    records: int = 0
    seq_total: int = 0

    def same(self, other: "Counted") -> bool:
        """Returns whether both are equal; Elasticsearch's sums are floating point numbers."""
        return self.records == other.records and math.isclose(
            self.seq_total, other.seq_total, rel_tol=1e-12
        )


@dataclass(frozen=True, slots=True)
class StreamComparison:
    """Counts of the lake and of the search server for one kind in one stream."""

    of: StreamOfKind
    lake: Counted
    search: Counted

    @property
    def equal(self) -> bool:
        """Whether every record of the lake is searchable once."""
        return self.lake.same(self.search)


class StreamCounts(Protocol):
    """Counts documents per stream."""

    def refresh(self, indices: Sequence[str]) -> None:
        """Make written documents of the indices countable."""
        ...

    def count_streams(self, alias: str, matching: Filter) -> Iterator[StreamCount]:
        """Return the number of matching documents under the alias per device and stream."""
        ...


def keys_in_lake(
    files: Iterable[LandedFile], kept: Kept | None = None
) -> dict[StreamOfKind, Counted]:
    """Counts distinct keys of the readable blocks, by kind and stream.

    Records that are not plausible or too old are left out, as the search projection leaves them
    out.

    Args:
        files: The whole lake.
        kept: What Elasticsearch keeps; None for everything. If given, blocks without a time stay
            in memory until the end, because a ClockFix may date them.
    """
    keys = _Keys(kept)
    for file in files:
        for landed in file.blocks:
            try:
                block = decode(landed.payload, landed.limits)
            except ContractError:
                continue  # in quarantine, with no records to count
            left_out = set_aside(block, landed.received_at).seqs
            origin = BlockContext(
                device_id=landed.device_id, received_at=landed.received_at, left_out=left_out
            )
            keys.add(origin, block)
    return keys.counted()


class _Keys:
    """Collects the records of blocks, by kind and stream."""

    def __init__(self, kept: Kept | None) -> None:
        self._kept = kept
        self._found: dict[StreamOfKind, _Spans] = {}
        self._undated: list[tuple[BlockContext, Block]] = []
        self._fixes: dict[tuple[str, str], Fix | None] = {}

    def add(self, origin: BlockContext, block: Block) -> None:
        if self._kept is None:
            self._count(origin, block, frozenset())
            return
        stream = origin.device_id, block.stream_id
        for fix in fixes_of(block, origin.left_out):
            self._fixes[stream] = first_fix(f for f in (fix, self._fixes.get(stream)) if f)
        if block.utc_at is None:
            self._undated.append((origin, block))
        else:
            self._count(origin, block, retired(origin, block, self._kept))

    def counted(self) -> dict[StreamOfKind, Counted]:
        if self._kept is not None:
            for origin, block in self._undated:
                fix = self._fixes.get((origin.device_id, block.stream_id))
                dated = replace(origin, fix=fix)
                self._count(dated, block, retired(dated, block, self._kept))
        self._undated = []
        return {stream: spans.counted() for stream, spans in self._found.items()}

    def _count(self, origin: BlockContext, block: Block, old: frozenset[int]) -> None:
        for kind, first, last in _spans(block, origin.left_out | old):
            stream = StreamOfKind(kind, origin.device_id, block.stream_id)
            self._found.setdefault(stream, _Spans()).add(first, last)


def search_counts(
    server: StreamCounts, names: IndexNames, kept: Kept | None = None
) -> dict[StreamOfKind, Counted]:
    """Counts documents of the search server that `kept` does not retire, by kind and stream."""
    server.refresh([names.alias(kind) for kind in Kind])
    return {
        StreamOfKind(kind, c.device_id, c.stream_id): Counted(c.documents, c.seq_total)
        for kind in Kind
        for c in server.count_streams(names.alias(kind), _kept_of(kind, kept))
    }


def _kept_of(kind: Kind, kept: Kept | None) -> Filter:
    return EVERYTHING if kept is None else Filter(first_day=kept.first_day(kind))


def compare(
    lake: Mapping[StreamOfKind, Counted], search: Mapping[StreamOfKind, Counted]
) -> list[StreamComparison]:
    """Returns both counts of every stream that the lake or the search server has, in order."""
    return [
        StreamComparison(stream, lake.get(stream, Counted()), search.get(stream, Counted()))
        for stream in sorted(lake.keys() | search.keys())
    ]


def totals(
    comparisons: Iterable[StreamComparison], side: Callable[[StreamComparison], Counted]
) -> dict[Kind, int]:
    """Sums the records of one side by kind; a kind without records has 0."""
    found = dict.fromkeys(Kind, 0)
    for comparison in comparisons:
        found[comparison.of.kind] += side(comparison).records
    return found


def _spans(block: Block, left_out: frozenset[int]) -> Iterator[tuple[Kind, int, int]]:
    events_first = block.last - len(block.events) + 1
    if left_out:
        kept = (seq for seq in range(block.first, events_first) if seq not in left_out)
        yield from ((Kind.READING, seq, seq) for seq in kept)
    elif events_first > block.first:
        yield Kind.READING, block.first, events_first - 1
    for seq, timed in enumerate(block.events, start=events_first):
        if seq not in left_out:
            yield kind_of(timed.event), seq, seq


class _Spans:
    """A set of whole numbers, stored as spans, because streams have few gaps."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._merged = 0

    def add(self, first: int, last: int) -> None:
        self._spans.append((first, last))
        if len(self._spans) - self._merged > _UNMERGED:
            self._merge()

    def counted(self) -> Counted:
        self._merge()
        return Counted(
            sum(last - first + 1 for first, last in self._spans),
            sum((first + last) * (last - first + 1) // 2 for first, last in self._spans),
        )

    def _merge(self) -> None:
        merged: list[tuple[int, int]] = []
        for first, last in sorted(self._spans):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(last, merged[-1][1])
            else:
                merged.append((first, last))
        self._spans, self._merged = merged, len(merged)
