"""Asks a model at each completed step, and raises and clears forecast alerts.

A step is one of the equal periods in which a condition is evaluated. The model is asked if the
step has all its readings and the condition is false. A forecast alert is raised at a probability
of at least `warn_at`. The alert is cleared in three cases: a later forecast is below `warn_at`, the
condition is true (the observed alert replaces it), or there was no forecast for one horizon. The
alert's id is derived, like an observed alert's, from `<condition id>~forecast`. No condition id
contains a `~`, so the ids of the two kinds are never equal.

The list of open alerts is stored in the outbox together with the block, so no restart raises an
alert twice. A kill during a tick can lose a forecast, but never repeats one. Only the sense loop
uses this module.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.blocks import TimedEvent
from contract.keys import alert_id
from contract.records import Alert, AlertBasis, AlertState, ModelReport, Prediction
from edge.forecasting.window import Window
from edge.outputs.notifications import Notifications
from edge.sensing.alerts import Completed
from edge.sensing.timeline import Timeline
from models.conditions import Condition

__all__ = ["Answer", "ForecastAlerts", "Models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Holds a model's answer.

    Attributes:
        probability: Probability that the condition is true within its horizon, 0 to 1.
        model: Name of the model.
        version: Version of the model.
    """

    probability: float
    model: str
    version: str


class Models(Protocol):
    """The models of all conditions: `ModelsInUse` of `edge.bundles`, or `NoModels`."""

    def start(self) -> None:
        """Loads the models that were in use before the start."""
        ...

    def renew(self) -> None:
        """Swaps in the bundles received since the last call."""
        ...

    def take_reports(self) -> list[ModelReport]:
        """Returns the reports since the last call."""
        ...

    def ask(self, condition: Condition, window: Window, at_ms: int) -> Answer | None:
        """Returns the forecast at a time (UTC, ms); None without a model or a usable window."""
        ...


@dataclass(slots=True)
class _Warning:
    """An open forecast alert; `latest_ms` (time of the last forecast) is None if unknown."""

    alert_id: str
    latest_ms: int | None


class ForecastAlerts:
    """Forecasts all conditions of one gateway.

    Args:
        conditions: The declared conditions.
        models: The models that are asked.
        notifications: Receives each alert.
        stored: Result of `dump` before the last stop; None if nothing was stored.

    Attributes:
        stale: Whether `dump` would return another text than the one stored last.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        models: Models,
        notifications: Notifications,
        stored: str | None,
    ) -> None:
        self._conditions = {condition.id: condition for condition in conditions}
        self._models = models
        self._notifications = notifications
        tables: dict[str, tuple[str, int | None]] = json.loads(stored or "{}")
        self._open = {name: _Warning(*row) for name, row in tables.items()}
        self.stale = False
        for name, warning in self._open.items():
            if name in self._conditions:
                notifications.reopen(warning.alert_id)

    def resume(self, now_ms: int | None) -> list[TimedEvent]:
        """Continues where the last stream on this outbox ended; call it once, first.

        Alerts of conditions that are no longer declared are cleared here; no later call would do
        so.

        Args:
            now_ms: UTC, None if UTC is unknown. In that case an open alert's horizon starts again.
                So it does if the last forecast's time is in the future.
        """
        for warning in self._open.values():
            latest_ms = warning.latest_ms
            if now_ms is None or (latest_ms is not None and latest_ms > now_ms):
                warning.latest_ms = None
        undeclared = sorted(self._open.keys() - self._conditions.keys())
        return [TimedEvent(0, self._cleared(name)) for name in undeclared]

    def take(
        self, completed: Iterable[Completed], window: Window, timeline: Timeline
    ) -> list[TimedEvent]:
        """Returns predictions for these steps, and the alerts that they raise or clear.

        Args:
            completed: The steps, in the order of completion.
            window: The window, with all samples up to the last of these steps.
            timeline: Time line of the steps. Without UTC no model is asked, because the hour of the
                day, which models use, is unknown.
        """
        events: list[TimedEvent] = []
        for one in completed:
            events += self._expired(one.condition, one.step.at_ms, timeline)
            offset_ms = max(0, timeline.to_offset(one.step.at_ms))
            if one.step.holds:
                events += self._taken_over(one, offset_ms)
            elif one.step.full and timeline.epoch_ms is not None:
                answer = self._models.ask(one.condition, window, one.step.at_ms)
                if answer is not None:
                    events += self._judged(one, answer, timeline, offset_ms)
        return events

    def advance(self, now_offset_ms: int, timeline: Timeline) -> list[TimedEvent]:
        """Clears alerts that had no forecast for one horizon; call it after each `take`."""
        now_ms = timeline.of_offset(now_offset_ms)
        events: list[TimedEvent] = []
        for name in list(self._open):
            events += self._expired(self._conditions[name], now_ms, timeline)
        return events

    def rebase(self, delta_ms: int) -> None:
        """Shifts the stored times after a clock change; `delta_ms` is new minus old."""
        for warning in self._open.values():
            if warning.latest_ms is not None:
                warning.latest_ms += delta_ms
                self.stale = True

    def dump(self) -> str:
        """Returns the open alerts as text, for the outbox."""
        return json.dumps(
            {name: [w.alert_id, w.latest_ms] for name, w in self._open.items()},
            separators=(",", ":"),
        )

    def memory(self) -> list[tuple[str, str]]:
        """Returns name and text to store with the next block; empty if nothing has changed."""
        return [("forecasts", self.dump())] if self.stale else []

    def _judged(
        self, one: Completed, answer: Answer, timeline: Timeline, offset_ms: int
    ) -> list[TimedEvent]:
        condition = one.condition
        probability = round(answer.probability, 6)
        events = [TimedEvent(offset_ms, _prediction(condition, answer, probability))]
        warning = self._open.get(condition.id)
        if probability >= condition.warn_at:
            self.stale = True
            if warning is not None:
                warning.latest_ms = one.step.at_ms
                return events
            begun = alert_id(f"{condition.id}~forecast", timeline.stream_id, offset_ms)
            self._open[condition.id] = _Warning(begun, one.step.at_ms)
            raised = _alert(condition.id, begun, AlertState.RAISED, one.step.value, probability)
            return [*events, TimedEvent(offset_ms, self._notifications.tell(raised))]
        if warning is not None:
            cleared = self._cleared(condition.id, one.step.value, probability)
            events.append(TimedEvent(offset_ms, cleared))
        return events

    def _taken_over(self, one: Completed, offset_ms: int) -> list[TimedEvent]:
        if one.condition.id not in self._open:
            return []
        return [TimedEvent(offset_ms, self._cleared(one.condition.id, one.step.value))]

    def _expired(self, condition: Condition, now_ms: int, timeline: Timeline) -> list[TimedEvent]:
        warning = self._open.get(condition.id)
        if warning is None:
            return []
        if warning.latest_ms is None:
            warning.latest_ms = now_ms
            self.stale = True
        ends_ms = warning.latest_ms + condition.horizon_s * 1000
        if now_ms < ends_ms:
            return []
        return [TimedEvent(max(0, timeline.to_offset(ends_ms)), self._cleared(condition.id))]

    def _cleared(
        self, condition_id: str, value: float | None = None, probability: float | None = None
    ) -> Alert:
        self.stale = True
        begun = self._open.pop(condition_id).alert_id
        return self._notifications.tell(
            _alert(condition_id, begun, AlertState.CLEARED, value, probability)
        )


def _prediction(condition: Condition, answer: Answer, probability: float) -> Prediction:
    return Prediction(
        condition_id=condition.id,
        model=answer.model,
        version=answer.version,
        horizon_s=condition.horizon_s,
        probability=probability,
    )


def _alert(
    condition_id: str,
    begun: str,
    state: AlertState,
    value: float | None,
    probability: float | None,
) -> Alert:
    return Alert(
        alert_id=begun,
        condition_id=condition_id,
        state=state,
        basis=AlertBasis.FORECAST,
        value=None if value is None else round(value, 6),
        probability=probability,
    )
