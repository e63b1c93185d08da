"""Joins window, models and forecasts into one object for the sense loop.

The sense loop adds samples and asks once per tick for the forecasts of completed steps. A step is
one of the equal periods in which a condition is evaluated. New models are loaded between two ticks.
Without models the window is still filled. Only the sense loop uses this module.
"""

from collections.abc import Iterable

from contract.blocks import TimedEvent
from contract.records import ModelReport
from contract.signals import Signal
from edge.forecasting.forecast_alerts import Answer, ForecastAlerts, Models
from edge.forecasting.window import Window
from edge.sensing.alerts import Completed
from edge.sensing.timeline import Timeline
from models.conditions import Condition
from models.evaluation import Sample

__all__ = ["Forecasting", "NoModels"]


class NoModels:
    """Stands for the models of a gateway without `[models]`, which has rules only."""

    def start(self) -> None:
        """Does nothing: there is no model to load."""

    def renew(self) -> None:
        """Does nothing: there are no new bundles."""

    def take_reports(self) -> list[ModelReport]:
        """Returns no reports."""
        return []

    def ask(self, condition: Condition, window: Window, at_ms: int) -> Answer | None:
        """Returns None: no model answers."""
        del condition, window, at_ms
        return None


class Forecasting:
    """Does the forecasting of one gateway.

    Args:
        window: The past values that models use.
        models: The models; `forecasts` must use the same object.
        forecasts: Turns the models' answers into predictions and alerts.
    """

    def __init__(self, window: Window, models: Models, forecasts: ForecastAlerts) -> None:
        self._window = window
        self._models = models
        self._forecasts = forecasts

    def start(self, now_ms: int | None) -> list[TimedEvent]:
        """Continues where the last stream ended; `now_ms` is UTC, None if UTC is unknown."""
        self._window.resume(now_ms)
        cleared = self._forecasts.resume(now_ms)
        self._models.start()
        return cleared + self._reports(0)

    def take(self, samples: Iterable[tuple[Signal, Sample]]) -> None:
        """Adds the samples of one reading to the window, except those without a usable value."""
        for signal, sample in samples:
            if sample.value is not None:
                self._window.take(signal, sample)

    def forecast(
        self, completed: Iterable[Completed], now_offset_ms: int, timeline: Timeline
    ) -> list[TimedEvent]:
        """Returns predictions and alerts; call it once per tick, after all readings of the tick.

        The readings of a tick may have the same time, and a model must see all values known then.
        """
        events = self._forecasts.take(completed, self._window, timeline)
        events += self._forecasts.advance(now_offset_ms, timeline)
        self._window.settle()
        return events + self._reports(now_offset_ms)

    def renew(self, now_offset_ms: int) -> list[TimedEvent]:
        """Loads new bundles and returns reports; this may take as long as loading does."""
        self._models.renew()
        return self._reports(now_offset_ms)

    def rebase(self, delta_ms: int) -> None:
        """Shifts all stored times after a clock change; `delta_ms` is new minus old."""
        self._window.rebase(delta_ms)
        self._forecasts.rebase(delta_ms)

    def memory(self) -> list[tuple[str, str]]:
        """Returns names and texts of the state to store with the block that is committed now."""
        return self._forecasts.memory() + self._window.memory()

    def stored(self) -> None:
        """Notes that the last result of `memory` is on the disk."""
        self._window.stale = self._forecasts.stale = False

    def _reports(self, offset_ms: int) -> list[TimedEvent]:
        return [TimedEvent(offset_ms, report) for report in self._models.take_reports()]
