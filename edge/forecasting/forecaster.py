"""Computes a probability with a loaded bundle: window to features to probability.

Imports numpy, so a gateway without models must not import this module. Uses neither clock nor disk.
"""

import numpy as np

from contract.signals import Signal
from edge.forecasting.window import Window
from models.conditions import Condition, inputs_of
from models.features import features, windows
from models.inference import Inference
from models.replay import Readings

__all__ = ["Forecaster", "readings_of"]


class Forecaster:
    """Forecasts one condition.

    Args:
        condition: The condition.
        model: Name of the bundle's model.
        version: Version of the model.
        inference: The model's loaded session.
    """

    def __init__(
        self, condition: Condition, model: str, version: str, inference: Inference
    ) -> None:
        self._condition = condition
        self.model = model
        self.version = version
        self._inference = inference

    def probability(self, window: Window, at_ms: int) -> float | None:
        """Returns the probability at a time (UTC, ms); None if the window lacks a value.

        Raises:
            ModelError: The model failed, or returned no probability.
        """
        instants = np.array([at_ms], np.int64)
        grid = windows(readings_of(window, self._condition), instants, self._condition)
        found = features(grid, instants, self._condition)
        return self._inference.probability_of(found.values[0]) if found.usable[0] else None


def readings_of(window: Window, condition: Condition) -> Readings:
    """Returns the window's values of a condition's inputs, in the order of measurement.

    For times since the last `Window.settle`, `models.features.windows` gives the same result for
    these values as for all readings ever taken.
    """
    rows = [
        (sample.at_ms, signal, sample.value)
        for signal in dict.fromkeys(filter(None, inputs_of(condition)))
        for sample in window.samples(signal)
    ]
    rows.sort(key=_instant)
    return Readings.of_rows(
        [signal for _, signal, _ in rows],
        np.array([at_ms for at_ms, _, _ in rows], np.int64),
        np.array([value for _, _, value in rows], np.float64),
    )


def _instant(row: tuple[int, Signal, float | None]) -> int:
    return row[0]
