"""Alerts: conditions judged on each reading, outputs told at once, records made for the block.

What was judged goes on to the forecasts (`take_completed`); no alert waits for that.
Outputs come first and the commit after: an output must not wait for a disk. What is open, and how
far each condition has been judged, is text that goes into the outbox with the block, so that
neither a crash nor a restart raises the same alert twice. Used by the sense loop alone.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contract.blocks import TimedEvent
from contract.keys import alert_id
from contract.quantities import Quality
from contract.records import Alert, AlertBasis, AlertState
from contract.signals import Signal
from edge.outputs.notifications import Notifications
from edge.sensing.timeline import Timeline
from edge.storage.open_block import Measured
from models.conditions import Condition, signals_of
from models.criteria import Saved
from models.evaluation import Evaluator, Sample, Step

__all__ = ["Alerts", "Completed", "samples_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """A step that completed, and the condition that it is a step of."""

    condition: Condition
    step: Step


@dataclass(slots=True)
class _Judged:
    evaluator: Evaluator
    open_alert_id: str | None = None


class Alerts:
    """All conditions of one gateway.

    Args:
        conditions: What is declared.
        notifications: Told of each change.
        stored: What `dump` said before the last stop, None for a new outbox.
    """

    def __init__(
        self, conditions: Sequence[Condition], notifications: Notifications, stored: str | None
    ) -> None:
        states: Mapping[str, Saved] = json.loads(stored or "{}")
        self._notifications = notifications
        self._completed: list[Completed] = []
        self._judged: dict[str, _Judged] = {}
        for condition in conditions:
            state = states.get(condition.id)
            evaluator = Evaluator.restored(condition, state) if state else Evaluator(condition)
            open_id = state["open"] if state else None
            self._judged[condition.id] = _Judged(evaluator, open_id)
            if open_id is not None:
                notifications.reopen(open_id)
        self._by_signal: dict[Signal, list[_Judged]] = {}
        for judged in self._judged.values():
            for signal in signals_of(judged.evaluator.condition):
                self._by_signal.setdefault(signal, []).append(judged)
        self._undeclared = [
            (condition_id, state["open"])
            for condition_id, state in states.items()
            if state["open"] is not None and condition_id not in self._judged
        ]

    def resume(self, now_ms: int | None) -> list[TimedEvent]:
        """Begins where the last stream on this outbox ended.

        Alerts of conditions that are no longer declared are cleared: nothing else ever would.

        Args:
            now_ms: UTC, None if it is unknown. What was judged at unknown or later times cannot be
                compared with what comes: of that, only whether a condition holds is kept.
        """
        for judged in self._judged.values():
            if now_ms is None or judged.evaluator.is_ahead_of(now_ms):
                judged.evaluator.rebase(None)
        cleared = (
            _observed(*undeclared, AlertState.CLEARED, None) for undeclared in self._undeclared
        )
        return [TimedEvent(0, self._notifications.tell(alert)) for alert in cleared]

    def take(
        self, samples: Iterable[tuple[Signal, Sample]], timeline: Timeline
    ) -> list[TimedEvent]:
        """Alerts that one reading raises or clears; outputs have been told when it returns."""
        events: list[TimedEvent] = []
        for signal, sample in samples:
            for judged in self._by_signal.get(signal, ()):
                for step in judged.evaluator.take(signal, sample):
                    events += self._judge(judged, step, timeline)
        return events

    def advance(self, now_offset_ms: int, timeline: Timeline) -> list[TimedEvent]:
        """Alerts of steps that ended without all their signals; call it after each `take`."""
        now_ms = timeline.of_offset(now_offset_ms)
        events: list[TimedEvent] = []
        for judged in self._judged.values():
            for step in judged.evaluator.advance(now_ms):
                events += self._judge(judged, step, timeline)
        return events

    def take_completed(self) -> list[Completed]:
        """The steps that completed since the last call, in that order."""
        completed, self._completed = self._completed, []
        return completed

    def rebase(self, delta_ms: int) -> None:
        """Tells every condition that the time line moved; see `Evaluator.rebase`."""
        for judged in self._judged.values():
            judged.evaluator.rebase(delta_ms)

    def dump(self) -> str:
        """What must not be forgotten, as text."""
        judged = self._judged.items()
        return json.dumps(
            {name: {"open": j.open_alert_id, **j.evaluator.saved()} for name, j in judged},
            separators=(",", ":"),
        )

    def _judge(self, judged: _Judged, step: Step, timeline: Timeline) -> list[TimedEvent]:
        self._completed.append(Completed(judged.evaluator.condition, step))
        if not step.changed:
            return []
        offset_ms = max(0, timeline.to_offset(step.at_ms))
        condition_id = judged.evaluator.condition.id
        if step.holds:
            judged.open_alert_id = alert_id(condition_id, timeline.stream_id, offset_ms)
        if judged.open_alert_id is None:
            return []
        state = AlertState.RAISED if step.holds else AlertState.CLEARED
        alert = _observed(condition_id, judged.open_alert_id, state, round(step.value, 6))
        if not step.holds:
            judged.open_alert_id = None
        return [TimedEvent(offset_ms, self._notifications.tell(alert))]


def _observed(
    condition_id: str, open_alert_id: str, state: AlertState, value: float | None
) -> Alert:
    return Alert(
        alert_id=open_alert_id,
        condition_id=condition_id,
        state=state,
        basis=AlertBasis.OBSERVED,
        value=value,
    )


def samples_of(measured: Measured, at_ms: int) -> list[tuple[Signal, Sample]]:
    """The values of one reading that are fit to judge by, as (signal, sample)."""
    samples = []
    for index, series in enumerate(measured.series):
        value, (quality, _) = measured.values[index], measured.qualities[index]
        fit = value is not None and quality is not Quality.BAD
        number = value / 10**series.decimals if fit and value is not None else None
        samples.append((Signal(measured.sensor_id, series.quantity), Sample(at_ms, number)))
    return samples
