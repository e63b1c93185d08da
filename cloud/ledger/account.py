"""From facts to the account of each stream: stored, declared lost, held or unexplained. Pure.

Every number from 1 to the last one that anything speaks of is in exactly one of the four. Stored
beats everything, since it is there; lost beats held, since the gateway deleted it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cloud.ledger.facts import HeldFact, LossFact, StartFact
from cloud.ledger.spans import Run, Runs, count, merge, subtract
from cloud.ledger.tally import Tally
from contract.records import Span

__all__ = ["DeviceAccount", "Fork", "ForkKind", "StreamAccount", "Told", "account"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a device's records say of its streams.

    Attributes:
        starts: Each start of a stream.
        losses: Each Loss.
        held: The newest Held of each stream that has one; older ones change nothing.
    """

    starts: tuple[StartFact, ...] = ()
    losses: tuple[LossFact, ...] = ()
    held: tuple[HeldFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAccount:
    """What became of the numbers of one stream.

    Attributes:
        device_id: The device.
        stream_id: The stream.
        expected_last: The highest number that any fact speaks of; 0 if none does.
        stored: Numbers in the lake.
        lost: Numbers declared lost, and not stored.
        held: Numbers that the gateway still holds, and neither stored nor declared lost.
        unexplained: The rest of 1 to `expected_last`.
        tally: What is known of the stored blocks; None if none is stored.
    """

    device_id: str
    stream_id: str
    expected_last: int
    stored: Runs
    lost: Runs
    held: Runs
    unexplained: Runs
    tally: Tally | None

    @property
    def unexplained_total(self) -> int:
        """Numbers that nobody accounts for."""
        return count(self.unexplained)

    @property
    def doubled_total(self) -> int:
        """Numbers that two different blocks claim."""
        return count(self.tally.doubled) if self.tally else 0


class ForkKind(StrEnum):
    """How a fork shows."""

    TWO_SUCCESSORS = "two_successors"  # one outbox was started as two: a clone, or a backup
    BEHIND = "behind"  # the successor knows less of its predecessor than the lake: a backup


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """An outbox went on from a state that it had left behind, or as two.

    Attributes:
        kind: How it shows.
        stream_id: The stream that was continued.
        successors: The streams that name it.
        claimed_last: For `behind`, the last number that the successor knew of it.
        stored_last: For `behind`, the last number that is stored of it.
    """

    kind: ForkKind
    stream_id: str
    successors: tuple[str, ...]
    claimed_last: int | None = None
    stored_last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAccount:
    """All streams of one device.

    Attributes:
        device_id: The device.
        streams: In the order of their first times; streams without one come first.
        forks: Restored backups and clones.
        unclean_stops: Losses without numbers: what was sampled and never committed.
        held_told_at: When the oldest Held that counts was received, ms; None if none counts.
        held_truncated: True if one of these had more to name than it could.
    """

    device_id: str
    streams: tuple[StreamAccount, ...]
    forks: tuple[Fork, ...] = ()
    unclean_stops: tuple[LossFact, ...] = ()
    held_told_at: int | None = None
    held_truncated: bool = False


@dataclass(slots=True)
class _Claims:
    """What facts say of one stream."""

    lost: list[tuple[int, int]] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    last: int = 0

    def note(self, span: Span, runs: list[tuple[int, int]]) -> None:
        runs.append((span.first, span.last))
        self.last = max(self.last, span.last)


def account(device_id: str, tallies: Sequence[Tally], told: Told) -> DeviceAccount:
    """The device's account; the order of the facts makes no difference."""
    held = _counting_held(told)
    claims = _claims(told, held)
    by_stream = {t.stream_id: t for t in tallies}
    streams = [
        _stream(device_id, stream_id, by_stream.get(stream_id), claims[stream_id])
        for stream_id in by_stream.keys() | claims.keys()
    ]
    stops = (loss for loss in told.losses if loss.lost is None)
    return DeviceAccount(
        device_id=device_id,
        streams=tuple(sorted(streams, key=_begin)),
        forks=tuple(_forks(told.starts, by_stream)),
        unclean_stops=tuple(sorted(stops, key=lambda s: (s.from_at or 0, s.origin.stream_id))),
        held_told_at=min((h.origin.received_at for h in held), default=None),
        held_truncated=any(h.truncated for h in held),
    )


def _begin(stream: StreamAccount) -> tuple[int, str]:
    first_at = stream.tally.first_at if stream.tally else None
    return (-1 if first_at is None else first_at, stream.stream_id)


def _claims(told: Told, held: Iterable[HeldFact]) -> defaultdict[str, _Claims]:
    claims: defaultdict[str, _Claims] = defaultdict(_Claims)
    for start in told.starts:
        if start.previous_stream_id is not None:
            claim = claims[start.previous_stream_id]
            claim.last = max(claim.last, start.previous_last or 0)
    for loss in told.losses:
        if loss.lost is not None:
            claim = claims[loss.lost.stream_id]
            claim.note(loss.lost, claim.lost)
    for fact in held:
        for span in fact.spans:
            claim = claims[span.stream_id]
            claim.note(span, claim.held)
    return claims


def _stream(device_id: str, stream_id: str, tally: Tally | None, claim: _Claims) -> StreamAccount:
    stored = tally.stored if tally else ()
    expected_last = max(claim.last, stored[-1].last if stored else 0)
    lost = subtract(merge(claim.lost), stored)
    held = subtract(subtract(merge(claim.held), stored), lost)
    expected = (Run(1, expected_last),) if expected_last else ()
    return StreamAccount(
        device_id=device_id,
        stream_id=stream_id,
        expected_last=expected_last,
        stored=stored,
        lost=lost,
        held=held,
        unexplained=subtract(expected, merge((*stored, *lost, *held))),
        tally=tally,
    )


def _counting_held(told: Told) -> list[HeldFact]:
    """The newest Held of each outbox.

    An outbox goes on in one stream after another, so the newest one is that of the last stream
    which has one, going back from each stream that has no successor.
    """
    by_stream = _newest(told.held)
    before: dict[str, set[str]] = defaultdict(set)
    for start in told.starts:
        if start.previous_stream_id is not None:
            before[start.origin.stream_id].add(start.previous_stream_id)
    succeeded = {stream for streams in before.values() for stream in streams}
    tips = (by_stream.keys() | before.keys()) - succeeded
    found: set[str] = set()
    seen: set[str] = set()
    while tips:
        seen |= tips
        found |= tips & by_stream.keys()
        tips = {p for tip in tips - found for p in before.get(tip, ())} - seen
    return [fact for stream in sorted(found) for fact in by_stream[stream]]


def _newest(held: Iterable[HeldFact]) -> dict[str, list[HeldFact]]:
    """By stream the facts of the highest number: one, or more if blocks are in conflict."""
    newest: dict[str, list[HeldFact]] = {}
    for fact in sorted(set(held), key=lambda h: (h.origin.seq, h.origin.digest)):
        known = newest.get(fact.origin.stream_id, [])
        same = bool(known) and known[0].origin.seq == fact.origin.seq
        newest[fact.origin.stream_id] = [*known, fact] if same else [fact]
    return newest


def _forks(starts: Iterable[StartFact], stored: Mapping[str, Tally]) -> list[Fork]:
    claims: dict[str, dict[str, int]] = defaultdict(dict)
    for start in starts:
        if start.previous_stream_id is not None:
            known = claims[start.previous_stream_id]
            last = start.previous_last or 0
            stream_id = start.origin.stream_id
            known[stream_id] = max(last, known.get(stream_id, 0))
    forks = []
    for stream_id, successors in sorted(claims.items()):
        if len(successors) > 1:
            forks.append(
                Fork(
                    kind=ForkKind.TWO_SUCCESSORS,
                    stream_id=stream_id,
                    successors=tuple(sorted(successors)),
                )
            )
        forks += _behind(stream_id, successors, stored.get(stream_id))
    return forks


def _behind(stream_id: str, successors: Mapping[str, int], tally: Tally | None) -> list[Fork]:
    stored_last = tally.stored[-1].last if tally else 0
    return [
        Fork(
            kind=ForkKind.BEHIND,
            stream_id=stream_id,
            successors=(successor,),
            claimed_last=last,
            stored_last=stored_last,
        )
        for successor, last in sorted(successors.items())
        if last < stored_last
    ]
