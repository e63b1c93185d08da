"""Forecasting as the sense loop sees it: window, models and forecasts in one place.

Samples go in, steps that completed are forecast from once a tick, new models come in between.
Without models the window is kept all the same. Decides nothing itself. Used by the sense loop
alone.
"""

from collections.abc import Iterable

from contract.blocks import TimedEvent
from contract.records import ModelReport
from contract.signals import Signal
from edge.forecasting.forecasts import Answer, Forecasts, Models
from edge.forecasting.window import Window
from edge.sensing.alerts import Completed
from edge.sensing.timeline import Timeline
from models.conditions import Condition
from models.evaluation import Sample

__all__ = ["Forecasting", "NoModels"]


class NoModels:
    """Of a gateway without `[models]`: its rules stand alone."""

    def start(self) -> None:
        """Nothing to load."""

    def renew(self) -> None:
        """Nothing ever comes."""

    def take_reports(self) -> list[ModelReport]:
        """Nothing to tell."""
        return []

    def ask(self, condition: Condition, window: Window, at_ms: int) -> Answer | None:
        """Nobody answers."""
        del condition, window, at_ms
        return None


class Forecasting:
    """The forecasting of one gateway.

    Args:
        window: What models look back on.
        models: The same that `forecasts` asks.
        forecasts: What the answers lead to.
    """

    def __init__(self, window: Window, models: Models, forecasts: Forecasts) -> None:
        self._window = window
        self._models = models
        self._forecasts = forecasts

    def start(self, now_ms: int | None) -> list[TimedEvent]:
        """Begins where the last stream ended; `now_ms` is UTC, None if it is unknown."""
        self._window.resume(now_ms)
        cleared = self._forecasts.resume(now_ms)
        self._models.start()
        return cleared + self._reports(0)

    def take(self, samples: Iterable[tuple[Signal, Sample]]) -> None:
        """Adds what one reading says; what was not fit to judge by is left out."""
        for signal, sample in samples:
            if sample.value is not None:
                self._window.take(signal, sample)

    def forecast(
        self, completed: Iterable[Completed], now_offset_ms: int, timeline: Timeline
    ) -> list[TimedEvent]:
        """Predictions and alerts; call it once in a tick, with all of its readings taken.

        The readings of a tick may carry one instant, and a model must see all that were known then.
        """
        events = self._forecasts.take(completed, self._window, timeline)
        events += self._forecasts.advance(now_offset_ms, timeline)
        self._window.settle()
        return events + self._reports(now_offset_ms)

    def renew(self, now_offset_ms: int) -> list[TimedEvent]:
        """Takes in new bundles; may take as long as loading them does."""
        self._models.renew()
        return self._reports(now_offset_ms)

    def rebase(self, delta_ms: int) -> None:
        """Moves all that is remembered to another time line; `delta_ms` is new minus old."""
        self._window.rebase(delta_ms)
        self._forecasts.rebase(delta_ms)

    def memory(self) -> list[tuple[str, str]]:
        """Names and texts of what to store with the block that closes now."""
        return self._forecasts.memory() + self._window.memory()

    def stored(self) -> None:
        """What `memory` said last is on the disk."""
        self._window.stale = self._forecasts.stale = False

    def _reports(self, offset_ms: int) -> list[TimedEvent]:
        return [TimedEvent(offset_ms, report) for report in self._models.take_reports()]
