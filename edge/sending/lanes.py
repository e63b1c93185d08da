"""Chooses the next block to send, and keeps the blocks in flight (sent, not acked).

There are three lanes (priorities): alert before live before backfill. Backfill may fill only a
part of the window, live a larger part. So an alert or a new reading never waits behind a backlog.
Each lane remembers the last block that it read, so that a round reads only new blocks. Only the
outbox does I/O.

While the cloud acks nothing, one block at a time is sent again, one for each `ack_timeout_s`. This
does not depend on the broker, which may accept blocks that no process receives. So a cloud that
comes back is found within that time, and an absent cloud costs one block per wait.
"""

import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from contract.acks import Ack
from contract.keys import payload_digest
from contract.topics import Lane
from edge.storage.outbox import Outbox
from edge.storage.queued import QueuedBlock

__all__ = ["LIVE_S", "InFlight", "Lanes", "Outgoing"]

LIVE_S = 60.0  # blocks committed longer ago, in real time, are backfill
_SHARES = ((Lane.ALERT, 1.0), (Lane.LIVE, 0.9), (Lane.BACKFILL, 0.75))  # of the window
_NO_ROW_ID = 2**62
_GRAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Holds a block and its lane."""

    block: QueuedBlock
    lane: Lane


@dataclass(slots=True)
class InFlight:
    """Describes a block that was passed to MQTT and not acked yet.

    Attributes:
        outgoing: The block and its lane.
        digest: Digest by which an ack names a block that the cloud cannot decode.
        again_s: Real time, s, from which the block is sent again.
        timeout_s: Length of the current wait, s, before jitter.
    """

    outgoing: Outgoing
    digest: str
    again_s: float
    timeout_s: float


@dataclass(slots=True)
class Lanes:
    """Reads the send loop's queue from the outbox.

    Attributes:
        outbox: The send loop's connection to the outbox.
        window: Largest number of blocks in flight.
        ack_timeout_s: First wait for an ack, seconds.
        longest_s: Longest wait for an ack, seconds.
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
    _acked_s: float = -math.inf  # real time of the last ack for a block in flight
    _probe_s: float = -math.inf  # real time from which a silent cloud may be asked again

    def begin(self) -> None:
        """Marks all blocks committed before this process started as backfill."""
        self._newest = self.outbox.newest_row_id()
        self._live_from = self._newest + 1

    def note_commits(self, now_s: float) -> None:
        """Finds blocks committed since the last call, and moves old live blocks to backfill."""
        newest = self.outbox.newest_row_id()
        if newest > self._newest:
            # Commits within a short time share an entry, so that a fast clock cannot fill memory.
            since_s = now_s
            if self._recent and now_s - self._recent[-1][0] < _GRAIN_S:
                since_s = self._recent.pop()[0]
            self._recent.append((since_s, newest))
            self._newest = newest
        while self._recent and self._recent[0][0] < now_s - LIVE_S:
            self._live_from = self._recent.popleft()[1] + 1

    def next(self, now_s: float, most: int) -> list[Outgoing]:
        """Returns the blocks to pass to MQTT now, and counts them as in flight.

        The order is: overdue blocks, then alerts, live blocks and backfill.

        Args:
            now_s: Real time, s.
            most: Largest number of blocks that were not in flight before.
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
        if now_s - self._acked_s > self.ack_timeout_s:
            return [flight.outgoing for flight in self._probe(overdue, now_s)]
        for flight in overdue:
            flight.timeout_s = min(self.longest_s, flight.timeout_s * 2)
            flight.again_s = now_s + self._jittered(flight.timeout_s)
        return [flight.outgoing for flight in overdue]

    def _probe(self, overdue: list[InFlight], now_s: float) -> list[InFlight]:
        """Returns the block that was not sent for the longest time; later calls take the others."""
        if not overdue or now_s < self._probe_s:
            return []
        longest = min(overdue, key=lambda flight: flight.again_s)
        longest.again_s = self._probe_s = now_s + self._jittered(self.ack_timeout_s)
        return [longest]

    def acked(self, ack: Ack, now_s: float) -> list[int]:
        """Removes the blocks that the ack covers completely from flight; returns their row ids."""
        done = [row_id for row_id, f in self.in_flight.items() if _covers(ack, f)]
        for row_id in done:
            del self.in_flight[row_id]
        if done:
            self._acked_s, self._probe_s = now_s, -math.inf
        return done

    def set_aside(self, outgoing: Outgoing) -> None:
        """Takes back a block that cannot be sent over this connection; the next one tries again."""
        self.in_flight.pop(outgoing.block.row_id, None)

    def forget_flights(self) -> None:
        """Puts all blocks in flight back into the queue, after a lost connection."""
        self.in_flight.clear()
        self._looked_at.clear()

    def backlog(self) -> bool:
        """Returns whether a block that is older than live waits or is in flight."""
        return self.outbox.ordinary_before(self._live_from)

    def empty(self) -> bool:
        """Returns whether no block waits or is in flight."""
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
