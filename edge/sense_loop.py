"""Runs the sense loop: samples, evaluates conditions, alerts, forecasts and commits until stopped.

The loop has one thread and never waits for the network. Blocks go to the send loop through the
outbox; the sense loop asks the send loop through the small protocol `Queue`. No alert waits for a
model: outputs are notified before the tick's forecasts, and a new model is loaded after the tick's
commit.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from contract.blocks import TimedEvent
from contract.records import Alert, ClockFix, Event, Phase, Prediction, Status
from edge.clock import SenseClock, real_s
from edge.configuration.config import CommitConfig
from edge.errors import OutboxError
from edge.forecasting.forecasting import Forecasting
from edge.outputs.notifications import Notifications
from edge.sensing.alerts import Alerts, samples_of
from edge.sensing.health import held, status
from edge.sensing.sampler import Sampler
from edge.sensing.timeline import StreamTime
from edge.storage.journal import Journal, Tail
from edge.storage.losses import Dropped, Left, unreadable
from edge.storage.open_block import Measured
from edge.storage.outbox import Outbox
from edge.storage.queued import QueuedBlock
from edge.storage.stream_end import Kept, StreamEnd
from edge.supervisor import Supervisor

__all__ = ["Queue", "Rhythm", "SenseLoop", "Senses"]

log = logging.getLogger(__name__)

MAX_UNCOMMITTED_RECORDS = 20_000  # kept in memory while commits fail; about 3 MB
RETRY_S = 5.0  # time until a failed commit is tried again, on the sense clock
MOST_EARLY_S = 0.1  # a commit due within this time after a tick is made before the tick's readings
CLOCK_FIX_UNCERTAINTY_MS = 1000  # possible error of network time just after a start


class Queue(Protocol):
    """The part of the send loop that the sense loop uses."""

    def backlog_drained(self) -> bool:
        """Returns whether a backlog was sent since the last call."""
        ...

    def take_damaged(self) -> list[QueuedBlock]:
        """Returns damaged blocks found since the last call."""
        ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Says when records are committed.

    Attributes:
        commit: The configured rhythm.
        held_s: Longest time between two Held records, real seconds.
    """

    commit: CommitConfig
    held_s: float


@dataclass(slots=True)
class Senses:
    """Holds the loop's parts; the composition root creates them.

    Attributes:
        clock: The sense clock.
        sampler: The sensors.
        notifications: The outputs.
        alerts: The conditions.
        forecasting: Window, models and forecasts.
        journal: Numbers and commits records.
        outbox: The durable connection.
        queue: The send loop.
        version: The program's version, for Status records.
        supervisor: Receives start, commits and stop; by default there is none.
    """

    clock: SenseClock
    sampler: Sampler
    notifications: Notifications
    alerts: Alerts
    forecasting: Forecasting
    journal: Journal
    outbox: Outbox
    queue: Queue
    version: str
    supervisor: Supervisor = field(default_factory=Supervisor)


@dataclass(slots=True)
class _Due:
    status_s: float
    held_real_s: float
    retry_s: float = math.inf
    kept_from_ms: int | None = None  # offset of the oldest record of failed commits
    beat_s: float = math.inf  # from the first commit on
    forget: list[int] = field(default_factory=list)


class SenseLoop:
    """Runs `Senses` in a `Rhythm`.

    Args:
        senses: The loop's parts.
        rhythm: Times of commits.
        previous: The stream before this one on the same outbox; None if there was none.
        left: What the streams before this one left; by default the end of `previous`.
    """

    def __init__(
        self,
        senses: Senses,
        rhythm: Rhythm,
        previous: StreamEnd | None,
        left: Left | None = None,
    ) -> None:
        self._s = senses
        self._rhythm = rhythm
        self._time = StreamTime(senses.clock, senses.journal.stream_id)
        self._due = _Due(self._now_s() + rhythm.commit.status_s, real_s() + rhythm.held_s)
        self._urgent: list[TimedEvent] = []
        self._dropped = Dropped()
        self._left = left or Left(previous, previous)
        self._soon_s = min(MOST_EARLY_S, rhythm.commit.effective_rhythm_s / 10)

    def run(self) -> None:
        """Measures until the clock says stop; then commits the open block and a Held record."""
        self._start()
        self._s.supervisor.ready()
        while self._s.clock.sleep_until(self._next_s(), self._before_wait):
            self._tick()
        self._s.supervisor.stopping()
        self._stop()

    def finish_on(self, outbox: Outbox, left: Left | None) -> None:
        """Commits everything to the outbox that is now in its place, and ends the stream.

        Args:
            outbox: A copy of the outbox before, or the outbox that could not be opened before.
            left: For the latter, what the streams before left.
        """
        self._s.outbox = outbox
        self._report(left)
        self._s.journal.continue_on(outbox)
        self._add(self._status(Phase.STOP))
        self._commit(clean=True)

    def _report(self, left: Left | None) -> None:
        if left is None:
            return
        retry_ms = math.ceil(RETRY_S * 1000) + self._tail_ms()
        readings_in = self._s.sampler.readings_in
        for loss in left.reports(self._s.clock.utc_ms(), retry_ms, readings_in):
            self._add(loss)

    def close(self) -> None:
        """Closes outputs and sensors."""
        self._s.notifications.close()
        self._s.sampler.close()

    def _start(self) -> None:
        now_ms = self._s.clock.utc_ms()
        self._s.notifications.resume()
        self._urgent = self._s.alerts.resume(now_ms)
        previous = self._left.previous
        self._add(
            Status(
                phase=Phase.START,
                version=self._s.version,
                previous_stream_id=None if previous is None else previous.stream_id,
                previous_last=None if previous is None else previous.last,
            )
        )
        self._report(self._left)
        self._tell(self._s.forecasting.start(now_ms))
        self._commit()

    def _stop(self) -> None:
        self._add(self._status(Phase.STOP))
        self._commit(clean=True)
        self._tell_dropped()
        self._add(held(self._s.outbox))
        self._commit(clean=True)
        self.close()

    def _tick(self) -> None:
        now_s = self._now_s()
        if self._next_commit_s() - now_s <= self._soon_s:
            # Otherwise a block would hold two samples if the rhythm is as long as the interval.
            self._commit()
        self._follow_clock()
        for measured in self._s.sampler.read_due(now_s, self._time.offset_ms, self._time.phase_s):
            self._take(measured)
        self._urgent += self._s.alerts.advance(self._time.offset_ms(), self._time.timeline)
        self._forecast()
        self._periodic(now_s)
        if self._urgent or self._commit_due(now_s):
            self._commit()
        self._renew()

    def _take(self, measured: Measured) -> None:
        timeline, journal = self._time.timeline, self._s.journal
        samples = samples_of(measured, timeline.of_offset(measured.offset_ms))
        self._urgent += self._s.alerts.take(samples, timeline)
        self._s.forecasting.take(samples)
        if self._has_room():
            journal.add_reading(measured, self._time.utc_of(measured.offset_ms))
        else:
            self._dropped.add(measured)
        most = self._rhythm.commit.records - self._s.sampler.widest
        if journal.open_records > max(0, most):
            self._commit()

    def _has_room(self) -> bool:
        return self._s.journal.uncommitted_records < MAX_UNCOMMITTED_RECORDS

    def _forecast(self) -> None:
        completed = self._s.alerts.take_completed()
        offset_ms, timeline = self._time.offset_ms(), self._time.timeline
        self._tell(self._s.forecasting.forecast(completed, offset_ms, timeline))

    def _renew(self) -> None:
        self._tell(self._s.forecasting.renew(self._time.offset_ms()))

    def _tell(self, events: Iterable[TimedEvent]) -> None:
        for timed in events:
            if isinstance(timed.event, Alert):
                self._urgent.append(timed)
            elif self._has_room() or not isinstance(timed.event, Prediction):
                # A forecast is dropped like the readings from which it is computed.
                self._s.journal.add_event(timed, self._time.utc_of(timed.offset_ms))

    def _before_wait(self) -> None:
        """Loads new models and commits everything before a wait of unknown length."""
        self._renew()
        self._commit()

    def _periodic(self, now_s: float) -> None:
        silent = now_s >= self._due.beat_s and not self._s.journal.uncommitted_records
        if silent or now_s >= self._due.status_s:
            self._due.status_s = now_s + self._rhythm.commit.status_s
            self._add(self._status(Phase.RUNNING))
        if self._s.queue.backlog_drained() or real_s() >= self._due.held_real_s:
            self._due.held_real_s = real_s() + self._rhythm.held_s
            self._add(held(self._s.outbox))
        self._tell_dropped()
        for block in self._s.queue.take_damaged():
            self._add(unreadable(block))
            self._due.forget.append(block.row_id)

    def _tell_dropped(self) -> None:
        if self._dropped.readings_total and self._due.retry_s == math.inf:
            self._add(self._dropped.told(self._time.utc_of))

    def _commit_due(self, now_s: float) -> bool:
        return now_s >= self._next_commit_s() - 1e-9

    def _next_commit_s(self) -> float:
        opened, due_s = self._s.journal.opened, min(self._due.retry_s, self._due.beat_s)
        if opened is None:
            return due_s
        rhythm_s = self._rhythm.commit.effective_rhythm_s
        return min(due_s, self._time.monotonic_s(opened[0]) + rhythm_s)

    def _next_s(self) -> float:
        return min(self._s.sampler.next_due_s(), self._due.status_s, self._next_commit_s())

    def _commit(self, *, clean: bool = False) -> None:
        memory = [("alerts", self._s.alerts.dump()), *self._s.forecasting.memory()]
        offset_ms = self._time.offset_ms()
        tail = Tail(offset_ms, self._time.utc_of(offset_ms), self._tail_ms(), clean)
        urgent, self._urgent = self._urgent, []
        opened = self._s.journal.opened
        dropped = self._dropped.kept(self._time.utc_of)
        try:
            committed = self._s.journal.commit(tail, urgent, memory, self._due.forget, dropped)
        except OutboxError as error:
            if not error.retryable:
                raise
            self._failed(error, offset_ms if opened is None else opened[0])
        else:
            if not committed:
                return
            self._committed()
        # Also after a failed commit: a restart by the watchdog would lose the records in memory.
        self._s.supervisor.alive()
        self._due.beat_s = self._now_s() + self._s.supervisor.beat_s

    def _failed(self, error: OutboxError, opened_ms: int) -> None:
        """Notes beside the outbox what is only in memory, and plans the next attempt."""
        if self._due.retry_s == math.inf:
            log.error("the outbox cannot be written, readings are kept in memory: %s", error)
            self._due.kept_from_ms = opened_ms
        self._due.retry_s = self._now_s() + RETRY_S
        records = self._s.journal.uncommitted_records + self._dropped.readings_total
        utc_of, from_ms = self._time.utc_of, self._due.kept_from_ms
        from_at = None if from_ms is None else utc_of(from_ms)
        self._s.outbox.note_kept(Kept(records, from_at, utc_of(self._time.offset_ms())))

    def _committed(self) -> None:
        if self._due.retry_s != math.inf:
            log.info("the outbox can be written again")
        self._due.retry_s = math.inf
        self._due.forget = []
        self._s.forecasting.stored()

    def _follow_clock(self) -> None:
        """Follows UTC: commits before a jump, and adds a ClockFix when UTC has become known."""
        unknown = self._time.timeline.epoch_ms is None
        jumped = self._time.has_jumped()
        if jumped:
            self._commit()
        elif self._s.journal.open_records or not self._time.has_drifted():
            return
        delta_ms = self._time.follow()
        self._s.alerts.rebase(delta_ms)
        self._s.forecasting.rebase(delta_ms)
        utc_at = self._time.utc_of(self._time.offset_ms())
        if utc_at is None:
            log.warning("the clock is before [clock] floor: UTC is unknown. Set the clock")
        elif unknown:
            self._add(ClockFix(utc_at=utc_at, uncertainty_ms=CLOCK_FIX_UNCERTAINTY_MS))
            self._commit()
        elif jumped:
            log.warning("the clock jumped by %.1f s", delta_ms / 1000)

    def _add(self, event: Event) -> None:
        offset_ms = self._time.offset_ms()
        self._s.journal.add_event(TimedEvent(offset_ms, event), self._time.utc_of(offset_ms))

    def _status(self, phase: Phase) -> Status:
        s = self._s
        return status(phase, s.version, s.sampler, s.journal, s.outbox)

    def _tail_ms(self) -> int:
        seconds = self._rhythm.commit.effective_rhythm_s + self._s.sampler.longest_interval_s
        return math.ceil(seconds * 1000)

    def _now_s(self) -> float:
        return self._s.clock.monotonic_s()
