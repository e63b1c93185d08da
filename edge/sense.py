"""The sense loop: sample, judge, alert, commit, until somebody stops it.

One thread. It never waits for the network: what the send loop needs of it passes through the
outbox, and what it needs of the send loop (is the backlog gone?) it asks of a small protocol.
"""

import logging
import math
from dataclasses import dataclass, field
from typing import Protocol

from contract.blocks import TimedEvent
from contract.records import ClockFix, Event, Held, Loss, LossReason, Phase, Span, Status
from edge.alerts import Alerts, samples_of
from edge.clock import SenseClock, transport_s
from edge.config import CommitConfig
from edge.errors import OutboxFull
from edge.journal import Journal, Tail
from edge.open_block import Measured
from edge.outbox import Outbox, QueuedBlock, StreamEnd
from edge.sampler import Sampler
from edge.timeline import Timeline
from edge.window import Window

__all__ = ["Queue", "Rhythm", "SenseLoop", "Senses"]

log = logging.getLogger(__name__)

CLOCK_STEP_MS = 500  # UTC moved by more than this against the monotonic clock: a new block begins
MAX_OPEN_RECORDS = 20_000  # held in memory while the disk refuses
MAX_HELD_SPANS = 200


class Queue(Protocol):
    """What the sense loop asks of the send loop."""

    def backlog_drained(self) -> bool:
        """Whether a backlog has been worked off since the last call."""
        ...

    def take_damaged(self) -> list[QueuedBlock]:
        """Blocks found unreadable since the last call."""
        ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When records are committed.

    Attributes:
        commit: The configured rhythm.
        held_s: A Held record at least this often, real seconds.
    """

    commit: CommitConfig
    held_s: float


@dataclass(slots=True)
class Senses:
    """What the loop works with; made by the composition root.

    Attributes:
        clock: The sense clock.
        sampler: The sensors.
        alerts: The conditions.
        window: What models look back on.
        journal: Numbers and commits.
        outbox: The durable connection.
        queue: The send loop.
        version: The program's version, for Status records.
    """

    clock: SenseClock
    sampler: Sampler
    alerts: Alerts
    window: Window
    journal: Journal
    outbox: Outbox
    queue: Queue
    version: str


@dataclass(slots=True)
class _Due:
    status_s: float
    held_transport_s: float
    urgent: list[TimedEvent] = field(default_factory=list)
    forget: list[int] = field(default_factory=list)
    disk_refused: bool = False


class SenseLoop:
    """Runs `Senses` in a `Rhythm`.

    Args:
        senses: What to work with.
        rhythm: When to commit.
        previous: The stream before this one on the same outbox.
    """

    def __init__(self, senses: Senses, rhythm: Rhythm, previous: StreamEnd | None) -> None:
        self._s = senses
        self._rhythm = rhythm
        self._origin_s = senses.clock.monotonic_s()
        self._due = _Due(self._origin_s + rhythm.commit.status_s, transport_s() + rhythm.held_s)
        self._epoch_ms: int | None = None
        self._previous = previous

    def run(self) -> None:
        """Measures until the clock says stop; then what is open is committed and told as Held."""
        self._start()
        while self._s.clock.sleep_until(self._next_s(), self._commit):
            self._tick()
        self._stop()

    def _start(self) -> None:
        self._follow_clock()
        if self._epoch_ms is None:
            self._s.alerts.rebase(None)
        previous = self._previous
        self._add(
            Status(
                phase=Phase.START,
                version=self._s.version,
                previous_stream_id=None if previous is None else previous.stream_id,
                previous_last=None if previous is None else previous.last,
            )
        )
        if previous is not None and not previous.clean:
            self._add(self._unclean_stop(previous))
        self._commit()

    def _stop(self) -> None:
        self._add(self._status(Phase.STOP))
        self._commit(clean=True)
        self._add(self._held())
        self._commit(clean=True)
        self._s.alerts.close()
        self._s.sampler.close()

    def _tick(self) -> None:
        self._follow_clock()
        now_s = self._s.clock.monotonic_s()
        phase_s = 0.0 if self._epoch_ms is None else self._epoch_ms / 1000 - self._origin_s
        for measured in self._s.sampler.read_due(now_s, self._offset_ms, phase_s):
            self._take(measured)
        events = self._s.alerts.advance(self._offset_ms(), self._timeline())
        self._due.urgent += events
        self._periodic(now_s)
        if self._due.urgent or self._commit_due(now_s):
            self._commit()

    def _take(self, measured: Measured) -> None:
        if self._s.journal.open_records >= MAX_OPEN_RECORDS:
            return  # the disk refuses: said in the log, and as a Loss after the next start
        timeline = self._timeline()
        self._s.journal.add_reading(measured, self._utc_of(measured.offset_ms))
        self._due.urgent += self._s.alerts.take(measured, timeline)
        for signal, sample in samples_of(measured, timeline.of_offset(measured.offset_ms)):
            if sample.value is not None:
                self._s.window.take(signal, sample)
        if self._s.journal.open_records >= self._rhythm.commit.records:
            self._commit()

    def _periodic(self, now_s: float) -> None:
        if now_s >= self._due.status_s:
            self._due.status_s = now_s + self._rhythm.commit.status_s
            self._add(self._status(Phase.RUNNING))
        if self._s.queue.backlog_drained() or transport_s() >= self._due.held_transport_s:
            self._due.held_transport_s = transport_s() + self._rhythm.held_s
            self._add(self._held())
        for block in self._s.queue.take_damaged():
            log.error("outbox: numbers %d-%d are unreadable: lost", block.first, block.last)
            lost = Span(stream_id=block.stream_id, first=block.first, last=block.last)
            self._add(Loss(reason=LossReason.CORRUPT, lost=lost))
            self._due.forget.append(block.row_id)

    def _commit_due(self, now_s: float) -> bool:
        opened = self._s.journal.opened
        if opened is None:
            return False
        return now_s >= self._opened_s(opened[0]) + self._rhythm.commit.effective_rhythm_s - 1e-9

    def _next_s(self) -> float:
        due = [self._s.sampler.next_due_s(), self._due.status_s]
        opened = self._s.journal.opened
        if opened is not None:
            due.append(self._opened_s(opened[0]) + self._rhythm.commit.effective_rhythm_s)
        return min(due)

    def _opened_s(self, offset_ms: int) -> float:
        return self._origin_s + offset_ms / 1000

    def _commit(self, *, clean: bool = False) -> None:
        window = self._s.window.dump_if_stale()
        memory = [("alerts", self._s.alerts.dump())]
        memory += [] if window is None else [("window", window)]
        tail = Tail(self._offset_ms(), self._s.clock.utc_ms(), self._tail_ms(), clean)
        try:
            self._s.journal.commit(tail, self._due.urgent, memory, self._due.forget)
        except OutboxFull as error:
            if not self._due.disk_refused:
                log.error("nothing can be committed: %s", error)
            self._due.disk_refused = True
            return
        if self._due.disk_refused:
            log.info("the outbox takes commits again")
        self._due.disk_refused = False
        self._due.urgent, self._due.forget = [], []

    def _follow_clock(self) -> None:
        """Closes the open block when UTC has become known (a ClockFix tells it) or has jumped."""
        utc_ms = self._s.clock.utc_ms()
        offset_ms = self._offset_ms()
        epoch_ms = None if utc_ms is None else utc_ms - offset_ms
        known_ms = self._epoch_ms
        if epoch_ms is not None and known_ms is not None:
            if abs(epoch_ms - known_ms) <= CLOCK_STEP_MS:
                if not self._s.journal.open_records:
                    self._epoch_ms = epoch_ms  # the calendar is slewed; a block keeps one epoch
                return
            log.warning("the clock jumped by %.1f s", (epoch_ms - known_ms) / 1000)
        if epoch_ms == known_ms:
            return
        self._commit()
        self._epoch_ms = epoch_ms
        if epoch_ms is not None and known_ms is None and self._s.journal.last:
            self._s.alerts.rebase(epoch_ms)
            self._add(ClockFix(utc_at=epoch_ms + offset_ms, uncertainty_ms=1000))
            self._commit()

    def _add(self, event: Event) -> None:
        offset_ms = self._offset_ms()
        self._s.journal.add_event(TimedEvent(offset_ms, event), self._utc_of(offset_ms))

    def _status(self, phase: Phase) -> Status:
        queue = self._s.outbox.state()
        return Status(
            phase=phase,
            version=self._s.version,
            samples_total=self._s.sampler.samples_total,
            sample_failures_total=self._s.sampler.failures_total,
            committed_total=self._s.journal.last,
            queued_blocks=queue.blocks,
            queued_bytes=queue.payload_bytes,
        )

    def _held(self) -> Held:
        spans = self._s.outbox.spans(MAX_HELD_SPANS + 1)
        return Held(spans=tuple(spans[:MAX_HELD_SPANS]), truncated=len(spans) > MAX_HELD_SPANS)

    def _unclean_stop(self, previous: StreamEnd) -> Loss:
        now_ms = self._s.clock.utc_ms()
        from_at, to_at, lost_ms = previous.committed_at, None, previous.tail_ms
        if from_at is not None and now_ms is not None and now_ms >= from_at:
            to_at = min(now_ms, from_at + previous.tail_ms)
            lost_ms = to_at - from_at
        return Loss(
            reason=LossReason.UNCLEAN_STOP,
            from_at=from_at,
            to_at=to_at,
            estimated_total=self._s.sampler.readings_in(lost_ms / 1000),
        )

    def _tail_ms(self) -> int:
        seconds = self._rhythm.commit.effective_rhythm_s + self._s.sampler.longest_interval_s
        return math.ceil(seconds * 1000)

    def _offset_ms(self) -> int:
        return round((self._s.clock.monotonic_s() - self._origin_s) * 1000)

    def _utc_of(self, offset_ms: int) -> int | None:
        return None if self._epoch_ms is None else self._epoch_ms + offset_ms

    def _timeline(self) -> Timeline:
        return Timeline(self._s.journal.stream_id, self._epoch_ms)
