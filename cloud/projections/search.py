"""Writes every readable record of the lake as one document: the search projection.

Order and repeats do not matter: documents are created under their key, and a ClockFix (a record
that gives its stream's records their time) may arrive before or after them. Blocks that cannot be
decoded and records that are not plausible are left out; the quarantine projection handles them.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from cloud.clock_fix import Fix, first_fix, fixes_of
from cloud.lake.positions import LandedBlock, LandedFile
from cloud.plausible import plausible_instant, set_aside
from cloud.search.bulk import Document
from cloud.search.documents import BlockContext, documents
from cloud.search.names import IndexNames
from cloud.search.query import Filter, Hit
from cloud.search.retention import Kept, Retention, retired
from cloud.search.templates import TIMESTAMP
from contract.blocks import Block
from contract.errors import ContractError
from contract.keys import event_day
from contract.records import Kind
from contract.wire import decode

__all__ = ["DocumentWriter", "Documents", "SearchProjection"]

_log = logging.getLogger(__name__)
_PAGE = 1000  # documents moved at a time when a fix arrives


class Documents(Protocol):
    """Queries to the existing documents that the projection needs."""

    def index_names(self, pattern: str) -> frozenset[str]:
        """Return the names of all indices that match a pattern."""
        ...

    def refresh(self, indices: Sequence[str]) -> None:
        """Make written documents of the indices searchable."""
        ...

    def find(
        self, indices: Sequence[str], matching: Filter, *, after_seq: int, limit: int
    ) -> list[Hit]:
        """Return the first documents with a `seq` above `after_seq`, ascending."""
        ...


class DocumentWriter(Protocol):
    """Writer of documents.

    When `create` returns, `Documents` can find clock fixes and records without a time. Other
    documents may arrive later.
    """

    def create(self, documents: Iterable[Document]) -> None:
        """Create the documents, in order; existing ones do not change.

        ProjectionError: not all of them were stored; calling again is safe.
        """
        ...

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id; ProjectionError as with `create`."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class _Stream:
    device_id: str
    stream_id: str

    def undated(self) -> Filter:
        return Filter(self._terms(), missing="observed_at")

    def all(self) -> Filter:
        return Filter(self._terms())

    def _terms(self) -> tuple[tuple[str, str], ...]:
        return ("device_id", self.device_id), ("stream_id", self.stream_id)


@dataclass(frozen=True, slots=True)
class _Decoded:
    stream: _Stream
    received_at: int
    block: Block
    left_out: frozenset[int]


class SearchProjection:
    """Writes landed files to Elasticsearch."""

    name = "search"

    def __init__(
        self,
        stored: Documents,
        writer: DocumentWriter,
        names: IndexNames,
        retention: Retention | None = None,
    ) -> None:
        self._stored = stored
        self._writer = writer
        self._names = names
        self._retention = retention

    def apply(self, files: Sequence[LandedFile]) -> None:
        """Write every record of the files; repeating it is safe.

        Raises:
            ProjectionError: Not everything was stored; apply the same files again.
        """
        decoded = [d for file in files for d in _decoded(file.blocks)]
        existing = self._stored.index_names(self._names.every)
        self._names = replace(self._names, existing=existing)
        fixed = _fixes(decoded)
        fixes = self._first(fixed, decoded)
        kept = None if self._retention is None else self._retention.kept()
        aged = _Aged(kept)
        self._writer.create(self._documents(decoded, fixes, aged))
        # After the writing, to find also undated records of this batch from an earlier run that
        # was killed.
        for stream in sorted(fixed):
            self._move(stream, fixes[stream], aged)
        if aged.total:
            _log.info("search: %d records older than [search] keep_days not written", aged.total)

    def _documents(
        self, decoded: Iterable[_Decoded], fixes: Mapping[_Stream, Fix], aged: "_Aged"
    ) -> Iterator[Document]:
        for item in decoded:
            origin = BlockContext(
                device_id=item.stream.device_id,
                received_at=item.received_at,
                fix=fixes.get(item.stream),
                left_out=item.left_out,
            )
            yield from documents(aged.without(origin, item.block), item.block, self._names)

    def _first(
        self, fixed: Mapping[_Stream, Fix], decoded: Iterable[_Decoded]
    ) -> dict[_Stream, Fix]:
        """Returns the first fix, from these blocks or stored, of each stream that may need one."""
        asked = fixed.keys() | {d.stream for d in decoded if d.block.utc_at is None}
        fixes = {}
        if asked:
            self._stored.refresh([self._names.alias(Kind.CLOCK_FIX)])
        for stream in asked:
            fix = first_fix(f for f in (fixed.get(stream), self._stored_fix(stream)) if f)
            if fix is not None:
                fixes[stream] = fix
        return fixes

    def _stored_fix(self, stream: _Stream) -> Fix | None:
        index = self._names.alias(Kind.CLOCK_FIX)
        for hit in self._stored.find([index], stream.all(), after_seq=0, limit=_PAGE):
            seq, offset_ms, utc_at = (int(hit.fields[n]) for n in ("seq", "offset_ms", "utc_at"))
            # An older program may have stored fixes that are not plausible.
            if plausible_instant(utc_at, int(hit.fields["received_at"])):
                return Fix(seq=seq, offset_ms=offset_ms, utc_at=utc_at)
        return None

    def _move(self, stream: _Stream, fix: Fix, aged: "_Aged") -> None:
        """Move the stream's waiting documents to the indices of their days, unless too old."""
        waiting = [self._names.unsynced(kind) for kind in Kind]
        self._stored.refresh(waiting)
        after_seq = 0
        while hits := self._stored.find(
            waiting, stream.undated(), after_seq=after_seq, limit=_PAGE
        ):
            after_seq = max(int(hit.fields["seq"]) for hit in hits)
            moves = [moved for hit in hits if (moved := self._dated(hit, fix)) is not None]
            # Create before delete: a crash in between leaves two documents, and the batch is
            # repeated. In the other order, a crash would leave none.
            self._writer.create(m.to for m in moves if aged.keeps(m.kind, m.observed_at))
            self._writer.delete(Document(m.hit.index, m.hit.id, "") for m in moves)

    def _dated(self, hit: Hit, fix: Fix) -> "_Move | None":
        offset_ms, received_at = (int(hit.fields[n]) for n in ("offset_ms", "received_at"))
        observed_at = fix.observed_at(offset_ms, received_at)
        if observed_at is None:
            return None
        day = event_day(observed_at)
        fields = dict(hit.fields) | {
            "event_day": day.isoformat(),
            "observed_at": observed_at,
            TIMESTAMP: observed_at,
        }
        kind = next(k for k in Kind if self._names.unsynced(k) == hit.index)
        body = json.dumps(fields, separators=(",", ":"), allow_nan=False)
        return _Move(hit, kind, observed_at, Document(self._names.index(kind, day), hit.id, body))


class _Move(NamedTuple):
    """A waiting document, and the document with a time that replaces it."""

    hit: Hit
    kind: Kind
    observed_at: int
    to: Document


class _Aged:
    """Leaves out the records of one batch that are too old, and counts them."""

    def __init__(self, kept: Kept | None) -> None:
        self._kept = kept
        self.total = 0

    def without(self, origin: BlockContext, block: Block) -> BlockContext:
        """Returns the context of a block with its old records left out."""
        if self._kept is None or not (old := retired(origin, block, self._kept)):
            return origin
        self.total += len(old - origin.left_out)
        return replace(origin, left_out=origin.left_out | old)

    def keeps(self, kind: Kind, observed_at: int) -> bool:
        """Returns whether a record of an instant, ms since 1970 UTC, is to be written."""
        kept = self._kept is None or self._kept.keeps(kind, observed_at)
        self.total += not kept
        return kept


def _decoded(blocks: Iterable[LandedBlock]) -> Iterator[_Decoded]:
    for landed in blocks:
        try:
            block = decode(landed.payload, landed.limits)
        except ContractError:
            continue  # the quarantine projection stores and counts it
        stream = _Stream(landed.device_id, block.stream_id)
        left_out = set_aside(block, landed.received_at).seqs
        yield _Decoded(stream, landed.received_at, block, left_out)


def _fixes(decoded: Iterable[_Decoded]) -> dict[_Stream, Fix]:
    """Returns the first ClockFix of each stream among the blocks."""
    found: dict[_Stream, list[Fix]] = {}
    for item in decoded:
        for fix in fixes_of(item.block, item.left_out):
            found.setdefault(item.stream, []).append(fix)
    return {s: first for s, fixes in found.items() if (first := first_fix(fixes)) is not None}
