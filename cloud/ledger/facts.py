"""Extracts the ledger's facts from landed blocks. Pure.

A fact never changes, and comes from one record or one delivery (a block in a committed file). So
the order and the repetition of facts do not matter to the account that is computed from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cloud.lake.positions import LandedBlock, Position
from contract.blocks import Block, entries, kinds_total
from contract.keys import payload_digest
from contract.records import Held, Kind, Loss, LossReason, Phase, Span, Status

__all__ = ["BlockFact", "Fact", "HeldFact", "LossFact", "SourceRecord", "StartFact", "facts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFact:
    """One readable block in one committed file.

    Attributes:
        device_id: Device in the topic.
        stream_id: Stream of the block.
        first: First number of the block.
        last: Last number of the block.
        received_at: When ingest received the block, ms since 1970 UTC.
        position: Position of the committed file.
        digest: `payload_digest` of the block's bytes.
        payload_bytes: Number of these bytes.
        first_at: Earliest time in the block, ms since 1970 UTC; None if the gateway's clock was
            not set.
        last_at: Latest time in the block; None as above.
        totals: Number of records of each kind; kinds without records are omitted.
    """

    device_id: str
    stream_id: str
    first: int
    last: int
    received_at: int
    position: Position
    digest: str
    payload_bytes: int
    first_at: int | None
    last_at: int | None
    totals: tuple[tuple[Kind, int], ...]

    @property
    def precedence(self) -> tuple[int, str, int, str, str, str]:
        """Sort key of blocks with the same number: the lower one wins."""
        at = self.position.sequence
        return (self.received_at, at.node, self.position.n, at.start_id, at.lane, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """The record from which a fact comes.

    Attributes:
        device_id: Device of the record.
        stream_id: Stream of the record.
        seq: Number of the record.
        digest: `payload_digest` of the record's block.
        received_at: When ingest first received that block, ms since 1970 UTC.
    """

    device_id: str
    stream_id: str
    seq: int
    digest: str
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFact:
    """A stream began, and names its predecessor (None if the outbox was empty)."""

    origin: SourceRecord
    previous_stream_id: str | None
    previous_last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFact:
    """The gateway declared records lost; fields as in `contract.records.Loss`."""

    origin: SourceRecord
    reason: LossReason
    lost: Span | None = None
    from_at: int | None = None
    to_at: int | None = None
    estimated_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFact:
    """The gateway reported what it still holds; fields as in `contract.records.Held`."""

    origin: SourceRecord
    spans: tuple[Span, ...] = ()
    truncated: bool = False


Fact = BlockFact | StartFact | LossFact | HeldFact


def facts_of(landed: LandedBlock, position: Position, block: Block) -> Iterator[Fact]:
    """Returns the facts in one landed block; `block` is its decoded payload."""
    digest = payload_digest(landed.payload)
    yield _delivery(landed, position, block, digest)
    if not any(isinstance(e.event, Status | Loss | Held) for e in block.events):
        return
    for entry in entries(block):
        origin = SourceRecord(
            device_id=landed.device_id,
            stream_id=block.stream_id,
            seq=entry.seq,
            digest=digest,
            received_at=landed.received_at,
        )
        yield from _told(origin, entry.record)


def _told(origin: SourceRecord, record: object) -> Iterator[Fact]:
    if isinstance(record, Status) and record.phase is Phase.START:
        yield StartFact(
            origin=origin,
            previous_stream_id=record.previous_stream_id,
            previous_last=record.previous_last,
        )
    elif isinstance(record, Loss):
        yield LossFact(
            origin=origin,
            reason=record.reason,
            lost=record.lost,
            from_at=record.from_at,
            to_at=record.to_at,
            estimated_total=record.estimated_total,
        )
    elif isinstance(record, Held):
        yield HeldFact(origin=origin, spans=record.spans, truncated=record.truncated)


def _delivery(landed: LandedBlock, position: Position, block: Block, digest: str) -> BlockFact:
    offsets = [s.offsets_ms[i] for s in block.sensors for i in (0, -1)]
    offsets += [e.offset_ms for e in block.events]
    return BlockFact(
        device_id=landed.device_id,
        stream_id=block.stream_id,
        first=block.first,
        last=block.last,
        received_at=landed.received_at,
        position=position,
        digest=digest,
        payload_bytes=len(landed.payload),
        first_at=block.observed_at(min(offsets)),
        last_at=block.observed_at(max(offsets)),
        totals=tuple(kinds_total(block).items()),
    )
