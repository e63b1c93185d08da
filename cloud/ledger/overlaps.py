"""Finds streams of one device that ran at the same time. Pure.

A gateway runs one stream after another. Two streams at the same time mean two gateways with one
name, such as a copied card. Streams of one outbox are not compared: each names its predecessor, and
a clock that was set back lets them seem to overlap. Imported streams are not compared either: files
of temperatures and of humidities of one device have the same times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloud.ledger.facts import StartFact
from cloud.ledger.tally import Tally
from contract.keys import is_import

__all__ = ["Overlap", "overlaps"]

_TOLERANCE_MS = 60_000  # clocks of two cards in one gateway may differ


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two streams of different outboxes with records of the same time.

    Attributes:
        earlier: The stream that began first.
        later: The stream that began while the other ran.
    """

    earlier: str
    later: str


def overlaps(starts: Iterable[StartFact], streams: Sequence[Tally]) -> list[Overlap]:
    """Returns one pair of streams for each two outboxes that ran at the same time."""
    outbox_of = _outboxes(starts)
    newest: dict[str, tuple[int, str]] = {}  # by outbox: its latest time so far, and the stream
    found: dict[frozenset[str], Overlap] = {}
    timed = [(t.first_at, t.last_at, t.stream_id) for t in streams if not is_import(t.stream_id)]
    for first_at, last_at, stream_id in sorted(
        (first, last, name) for first, last, name in timed if first is not None and last is not None
    ):
        own = _root(outbox_of, stream_id)
        for other, (other_last, other_stream) in newest.items():
            if other != own and min(other_last, last_at) - first_at > _TOLERANCE_MS:
                found.setdefault(frozenset((own, other)), Overlap(other_stream, stream_id))
        newest[own] = max(newest.get(own, (last_at, stream_id)), (last_at, stream_id))
    return list(found.values())


def _outboxes(starts: Iterable[StartFact]) -> dict[str, str]:
    """Returns links between streams; streams with the same root have one outbox."""
    links: dict[str, str] = {}
    for start in starts:
        if start.previous_stream_id is not None:
            one = _root(links, start.origin.stream_id)
            other = _root(links, start.previous_stream_id)
            if one != other:
                links[one] = other
    return links


def _root(links: dict[str, str], stream_id: str) -> str:
    while stream_id in links:
        stream_id = links[stream_id]
    return stream_id
