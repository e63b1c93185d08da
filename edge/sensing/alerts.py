"""Evaluates the conditions on each reading, notifies the outputs, and creates alert records.

Conditions are evaluated in steps (equal periods); completed steps go to the forecasts through
`take_completed`. The outputs are notified before the commit, because an output must not wait for
the disk. The open alerts and each condition's state are stored in the outbox together with the
block, so that no crash or restart raises the same alert twice. Only the sense loop uses this
module.
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
    """Holds a completed step and its condition."""

    condition: Condition
    step: Step


@dataclass(slots=True)
class _Judged:
    evaluator: Evaluator
    open_alert_id: str | None = None


class Alerts:
    """Evaluates all conditions of one gateway.

    Args:
        conditions: The declared conditions.
        notifications: Receives each change.
        stored: Result of `dump` before the last stop; None for a new outbox.
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
        """Continues where the last stream on this outbox ended.

        Alerts of conditions that are no longer declared are cleared here; no later call would do
        so.

        Args:
            now_ms: UTC, None if UTC is unknown. If UTC is unknown or a condition's stored times are
                in the future, only true or false is kept of the condition's state.
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
        """Returns the alerts that one reading raises or clears, after notifying the outputs."""
        events: list[TimedEvent] = []
        for signal, sample in samples:
            for judged in self._by_signal.get(signal, ()):
                for step in judged.evaluator.take(signal, sample):
                    events += self._judge(judged, step, timeline)
        return events

    def advance(self, now_offset_ms: int, timeline: Timeline) -> list[TimedEvent]:
        """Returns alerts of steps that ended without all signals; call it after each `take`."""
        now_ms = timeline.of_offset(now_offset_ms)
        events: list[TimedEvent] = []
        for judged in self._judged.values():
            for step in judged.evaluator.advance(now_ms):
                events += self._judge(judged, step, timeline)
        return events

    def take_completed(self) -> list[Completed]:
        """Returns the steps completed since the last call, oldest first."""
        completed, self._completed = self._completed, []
        return completed

    def rebase(self, delta_ms: int) -> None:
        """Shifts every condition's times after a clock change; see `Evaluator.rebase`."""
        for judged in self._judged.values():
            judged.evaluator.rebase(delta_ms)

    def dump(self) -> str:
        """Returns the open alerts and the conditions' states as text, for the outbox."""
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
    """Returns one reading as (signal, sample); a sample of bad quality has the value None."""
    samples = []
    for index, series in enumerate(measured.series):
        value, (quality, _) = measured.values[index], measured.qualities[index]
        fit = value is not None and quality is not Quality.BAD
        number = value / 10**series.decimals if fit and value is not None else None
        samples.append((Signal(measured.sensor_id, series.quantity), Sample(at_ms, number)))
    return samples
