"""What the ledger knows of each landed block, and nothing that it concludes from it. Pure.

A fact never changes. Each comes from one record or one delivery, so a set of facts has neither
order nor repetition, and the account computed from it has none either.
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
        device_id: From the topic.
        stream_id: From the block.
        first: Its first number.
        last: Its last number.
        received_at: When ingest took it, ms since 1970 UTC.
        position: The committed file.
        digest: `payload_digest` of its bytes.
        payload_bytes: Their number.
        first_at: Earliest UTC time in the block, ms; None if its clock was not believable.
        last_at: Latest one.
        totals: How many records of each kind; kinds without any are left out.
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
        """Of two blocks that claim a number, the one where this is lower wins."""
        at = self.position.sequence
        return (self.received_at, at.node, self.position.n, at.start_id, at.lane, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """The record that a fact was told by.

    Attributes:
        device_id: Its device.
        stream_id: Its stream.
        seq: Its number.
        digest: `payload_digest` of the block that carried it.
        received_at: When ingest took that block first, ms since 1970 UTC.
    """

    device_id: str
    stream_id: str
    seq: int
    digest: str
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFact:
    """A stream began, after the one it names (None: on an empty outbox)."""

    origin: SourceRecord
    previous_stream_id: str | None
    previous_last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFact:
    """The gateway says that something will never come; fields as in `contract.records.Loss`."""

    origin: SourceRecord
    reason: LossReason
    lost: Span | None = None
    from_at: int | None = None
    to_at: int | None = None
    estimated_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFact:
    """The gateway says what it still holds; fields as in `contract.records.Held`."""

    origin: SourceRecord
    spans: tuple[Span, ...] = ()
    truncated: bool = False


Fact = BlockFact | StartFact | LossFact | HeldFact


def facts_of(landed: LandedBlock, position: Position, block: Block) -> Iterator[Fact]:
    """The facts in one landed block, given what its payload decodes to."""
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
