"""Computes the account of each stream: its numbers stored, lost, held or unexplained. Pure.

A stream's records are numbered from 1. Every number up to the highest one that any fact mentions
is in exactly one of the four sets. Stored wins over the others, because the record exists. Lost
wins over held, because the gateway has deleted the record.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cloud.ledger.facts import HeldFact, LossFact, StartFact
from cloud.ledger.overlaps import overlaps
from cloud.ledger.spans import Run, Runs, count, merge, subtract
from cloud.ledger.tally import Tally
from contract.records import Span

__all__ = ["DeviceAccount", "Fork", "ForkKind", "StreamAccount", "Told", "account"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Facts in a device's records about its streams.

    Attributes:
        starts: Starts of streams.
        losses: Losses.
        held: The newest Held of each stream that has one; older ones do not count.
    """

    starts: tuple[StartFact, ...] = ()
    losses: tuple[LossFact, ...] = ()
    held: tuple[HeldFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAccount:
    """Account of the numbers of one stream.

    Attributes:
        device_id: The device.
        stream_id: The stream.
        expected_last: The highest number that any fact mentions; 0 if there is none.
        stored: Numbers in the lake.
        lost: Numbers that the gateway declared lost and that are not stored.
        held: Numbers that the gateway still holds and that are neither stored nor declared lost.
        unexplained: The remaining numbers from 1 to `expected_last`.
        tally: Counts of the stored blocks; None if no block is stored.
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
        """Count of numbers that are neither stored, lost nor held."""
        return count(self.unexplained)

    @property
    def doubled_total(self) -> int:
        """Count of numbers that two different blocks contain."""
        return count(self.tally.doubled) if self.tally else 0


class ForkKind(StrEnum):
    """Evidence of a fork."""

    TWO_SUCCESSORS = "two_successors"  # two streams continue one outbox: a clone, or a backup
    BEHIND = "behind"  # the successor's outbox is older than the lake's blocks: a backup
    OVERLAP = "overlap"  # two outboxes ran at the same time: two gateways with one name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A fork: an outbox was continued from a restored backup, or as two copies.

    Attributes:
        kind: Evidence of the fork.
        stream_id: The stream that was continued; for `overlap`, the stream that began first.
        successors: The streams that name it as their predecessor; for `overlap`, the stream that
            began while the first one ran.
        claimed_last: For `behind`, the last number that the successor names.
        stored_last: For `behind`, the last number that is stored.
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
        streams: Streams in the order of their first times; streams without a time come first.
        forks: Restored backups and clones.
        unclean_stops: Losses without numbers: readings that were sampled and never committed.
        held_told_at: When the oldest Held that counts was received, ms since 1970 UTC; None if
            there is none.
        held_truncated: Whether one of these Held records could not list all that is held.
    """

    device_id: str
    streams: tuple[StreamAccount, ...]
    forks: tuple[Fork, ...] = ()
    unclean_stops: tuple[LossFact, ...] = ()
    held_told_at: int | None = None
    held_truncated: bool = False


@dataclass(slots=True)
class _Claims:
    """Numbers of one stream in the facts."""

    lost: list[tuple[int, int]] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    last: int = 0

    def note(self, span: Span, runs: list[tuple[int, int]]) -> None:
        runs.append((span.first, span.last))
        self.last = max(self.last, span.last)


def account(device_id: str, tallies: Sequence[Tally], told: Told) -> DeviceAccount:
    """Computes the device's account; the order of the facts does not matter."""
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
        forks=(*_forks(told.starts, by_stream), *_overlapping(told.starts, tallies)),
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
    """Returns the newest Held of each outbox.

    An outbox continues in one stream after another. So the search starts at each stream without a
    successor and goes back to the last stream that has a Held.
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
    """Returns each stream's facts with the highest number: one, or more if blocks conflict."""
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


def _overlapping(starts: Iterable[StartFact], tallies: Sequence[Tally]) -> Iterator[Fork]:
    for found in overlaps(starts, tallies):
        yield Fork(kind=ForkKind.OVERLAP, stream_id=found.earlier, successors=(found.later,))


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
