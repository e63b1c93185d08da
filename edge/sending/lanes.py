"""Lanes: which committed block is sent next, and which are on their way.

Alert before live before backfill. Backfill may use the window only up to a part of it, live up to a
little more, so that an alert or a fresh reading never waits behind a backlog. A place is kept in
each lane, so that a round reads only blocks that were never looked at. Pure but for the outbox.
"""

import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from contract.acks import Ack
from contract.keys import payload_digest
from contract.topics import Lane
from edge.storage.outbox import Outbox, QueuedBlock

__all__ = ["LIVE_S", "InFlight", "Lanes", "Outgoing"]

LIVE_S = 60.0  # what was committed longer ago on the real clock is backfill
_SHARES = ((Lane.ALERT, 1.0), (Lane.LIVE, 0.9), (Lane.BACKFILL, 0.75))  # of the window
_NO_ROW_ID = 2**62
_GRAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A block and the lane it is sent in."""

    block: QueuedBlock
    lane: Lane


@dataclass(slots=True)
class InFlight:
    """A block that was handed to MQTT and not acked yet.

    Attributes:
        outgoing: The block and its lane.
        digest: How an ack names it if it cannot be read.
        again_s: Real time, s, from which it is sent again.
        timeout_s: How long the next wait will be, before jitter.
    """

    outgoing: Outgoing
    digest: str
    again_s: float
    timeout_s: float


@dataclass(slots=True)
class Lanes:
    """The queue as the send loop sees it.

    Attributes:
        outbox: The send loop's connection.
        window: At most this many blocks are in flight.
        ack_timeout_s: First wait for an ack, seconds.
        longest_s: The waits grow up to this, seconds.
    """

    outbox: Outbox
    window: int
    ack_timeout_s: float
    longest_s: float
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    source: random.Random = field(default_factory=random.SystemRandom)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)  # (real s, row id)
    _live_from: int = 0
    _newest: int = 0
    _looked_at: dict[Lane, int] = field(default_factory=dict)  # last row id read for each lane

    def begin(self) -> None:
        """What was committed before this process began is backfill."""
        self._newest = self.outbox.newest_row_id()
        self._live_from = self._newest + 1

    def note_commits(self, now_s: float) -> None:
        """Takes notice of what was committed since the last call, and of what has grown old."""
        newest = self.outbox.newest_row_id()
        if newest > self._newest:
            # some commits share an entry, so that a fast clock does not fill the memory
            since_s = now_s
            if self._recent and now_s - self._recent[-1][0] < _GRAIN_S:
                since_s = self._recent.pop()[0]
            self._recent.append((since_s, newest))
            self._newest = newest
        while self._recent and self._recent[0][0] < now_s - LIVE_S:
            self._live_from = self._recent.popleft()[1] + 1

    def next(self, now_s: float, most: int) -> list[Outgoing]:
        """What to hand to MQTT now: overdue ones again, then alerts, live, backfill; it flies then.

        Args:
            now_s: Real time, s.
            most: At most so many of those that do not fly yet.
        """
        chosen = self._overdue(now_s)
        for lane, share in _SHARES:
            room = min(most, math.floor(self.window * share) - len(self.in_flight))
            for block in self._waiting(lane, room):
                outgoing = Outgoing(block, lane)
                self.in_flight[block.row_id] = self._sent(outgoing, now_s)
                chosen.append(outgoing)
                most -= 1
        return chosen

    def _overdue(self, now_s: float) -> list[Outgoing]:
        overdue = [f for f in self.in_flight.values() if f.again_s <= now_s]
        for flight in overdue:
            flight.timeout_s = min(self.longest_s, flight.timeout_s * 2)
            flight.again_s = now_s + self._jittered(flight.timeout_s)
        return [flight.outgoing for flight in overdue]

    def acked(self, ack: Ack) -> list[int]:
        """Row ids of blocks in flight that the ack covers whole; they are no longer in flight."""
        done = [row_id for row_id, f in self.in_flight.items() if _covers(ack, f)]
        for row_id in done:
            del self.in_flight[row_id]
        return done

    def forget_flights(self) -> None:
        """What was sent is lost: all unacked blocks wait again."""
        self.in_flight.clear()
        self._looked_at.clear()

    def backlog(self) -> bool:
        """Whether anything waits or flies that is older than live."""
        return self.outbox.ordinary_before(self._live_from)

    def empty(self) -> bool:
        """Whether nothing waits or flies."""
        return not self.in_flight and self.outbox.empty()

    def _waiting(self, lane: Lane, room: int) -> list[QueuedBlock]:
        if room <= 0:
            return []
        after = self._looked_at.get(lane, 0) + 1
        if lane is Lane.ALERT:
            blocks = self.outbox.alerts(after, room)
        elif lane is Lane.LIVE:
            blocks = self.outbox.ordinary(max(after, self._live_from), _NO_ROW_ID, room)
        else:
            blocks = self.outbox.ordinary(after, self._live_from, room)
        if blocks:
            self._looked_at[lane] = blocks[-1].row_id
        return [b for b in blocks if b.row_id not in self.in_flight]

    def _sent(self, outgoing: Outgoing, now_s: float) -> InFlight:
        again_s = now_s + self._jittered(self.ack_timeout_s)
        digest = payload_digest(outgoing.block.payload)
        return InFlight(outgoing, digest, again_s, self.ack_timeout_s)

    def _jittered(self, timeout_s: float) -> float:
        return timeout_s * self.source.uniform(0.8, 1.2)


def _covers(ack: Ack, flight: InFlight) -> bool:
    block = flight.outgoing.block
    if flight.digest in ack.digests:
        return True
    spans = ((s.first, s.last) for s in ack.spans if s.stream_id == block.stream_id)
    return _covered(block.first, block.last, spans)


def _covered(first: int, last: int, spans: Iterable[tuple[int, int]]) -> bool:
    for begin, end in sorted(spans):
        if begin > first:
            return False
        if end >= first:
            first = end + 1
        if first > last:
            return True
    return False
