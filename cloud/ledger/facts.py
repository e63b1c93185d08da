"""Extracts the ledger's facts from landed blocks. Pure.

A fact never changes, and comes from one record or one delivery (a block in a committed file). So
the order and the repetition of facts do not matter to the account that is computed from them.

The ledger counts numbers, not times: a record with a time that is not plausible is stored, but its
time is left out. A block or record with numbers that are not plausible makes no fact at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cloud.lake.positions import LandedBlock, Position
from cloud.plausible import plausible_instant, plausible_number, unaccountable
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
        first_at: Earliest plausible time in the block, ms since 1970 UTC; None if there is none,
            for example because the gateway's clock was not set.
        last_at: Latest plausible time in the block; None as above.
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
    if not plausible_number(block.last):
        return
    digest = payload_digest(landed.payload)
    yield _delivery(landed, position, block, digest)
    if not any(isinstance(e.event, Status | Loss | Held) for e in block.events):
        return
    events_first = block.last - len(block.events) + 1
    for entry in entries(replace(block, first=events_first, sensors=())):
        if unaccountable(entry.record):
            continue
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
            from_at=_plausible(record.from_at, origin.received_at),
            to_at=_plausible(record.to_at, origin.received_at),
            estimated_total=record.estimated_total,
        )
    elif isinstance(record, Held):
        yield HeldFact(origin=origin, spans=record.spans, truncated=record.truncated)


def _times(block: Block, received_at: int) -> list[int]:
    """Returns plausible times of the block; the earliest and the latest are among them."""
    if block.utc_at is None:
        return []
    # Each sensor's offsets are ascending, so that its ends suffice if both are plausible.
    offsets = [s.offsets_ms[i] for s in block.sensors for i in (0, -1)]
    offsets += [e.offset_ms for e in block.events]
    found = [_plausible(block.observed_at(offset), received_at) for offset in offsets]
    if None in found:
        every = (offset for s in block.sensors for offset in s.offsets_ms)
        found += [_plausible(block.observed_at(offset), received_at) for offset in every]
    return [at for at in found if at is not None]


def _plausible(at: int | None, received_at: int) -> int | None:
    return at if at is not None and plausible_instant(at, received_at) else None


def _delivery(landed: LandedBlock, position: Position, block: Block, digest: str) -> BlockFact:
    times = _times(block, landed.received_at)
    return BlockFact(
        device_id=landed.device_id,
        stream_id=block.stream_id,
        first=block.first,
        last=block.last,
        received_at=landed.received_at,
        position=position,
        digest=digest,
        payload_bytes=len(landed.payload),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        totals=tuple(kinds_total(block).items()),
    )
