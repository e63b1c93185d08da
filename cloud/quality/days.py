"""Reduces a signal to one row for each UTC day, from which slow faults are found.

Neighbours are compared by day, so that a fleet's year fits into memory: a row has two figures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.quality.causal import series_of
from cloud.quality.past import DAY_MS, Series
from cloud.quality.spans import Span, unfit_in
from contract.quantities import Quantity
from contract.signals import Signal
from models.derived import dew_point_c
from models.replay import Readings

__all__ = ["Days", "days_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_HOURS = 12  # a day with values in fewer hours has no figure


@dataclass(frozen=True, slots=True)
class Days:
    """One signal's days, oldest first.

    Attributes:
        device_id: The device.
        signal: The signal.
        days: Days since 1970-01-01 UTC.
        means: Mean of the hours' means, in the quantity's unit.
        dew_points: For humidity the mean dew point, °C, with the temperature of the same sensor;
            NaN for all other signals and where there is no such temperature.
    """

    device_id: str
    signal: Signal
    days: Ints
    means: Floats
    dew_points: Floats


def days_of(device_id: str, readings: Readings, spans: list[Span]) -> list[Days]:
    """Return the days of all signals of one device.

    Args:
        device_id: The device.
        readings: Its readings in the order of time.
        spans: Causal spans: readings in them are left out.
    """
    hours = {signal: _hours(readings, signal, spans) for signal in readings.signals}
    found = []
    for signal, (at_h, means) in hours.items():
        dew_points = np.full(len(at_h), np.nan)
        other = Signal(signal.sensor_id, Quantity.TEMPERATURE)
        if signal.quantity is Quantity.HUMIDITY and other in hours:
            dew_points = _dew_points(at_h, means, *hours[other])
        days, figures = _by_day(at_h, np.stack((means, dew_points), axis=1))
        found.append(Days(device_id, signal, days, figures[:, 0], figures[:, 1]))
    return found


def _hours(readings: Readings, signal: Signal, spans: list[Span]) -> tuple[Ints, Floats]:
    """Return the hours since 1970 that have fit values, and their means."""
    series = series_of(readings, signal)
    own = [span for span in spans if span.signal == signal]
    fit = ~unfit_in(own, series.at_ms, series.at_ms)
    series = Series(series.quantity, series.at_ms[fit], series.values[fit])
    at_h, of = np.unique(series.at_ms // 3_600_000, return_inverse=True)
    means = np.bincount(of, weights=series.values) / np.bincount(of)
    return at_h, means.astype(np.float64)


def _dew_points(at_h: Ints, humidity: Floats, warm_h: Ints, temperature: Floats) -> Floats:
    found = np.full(len(at_h), np.nan)
    _, own, other = np.intersect1d(at_h, warm_h, assume_unique=True, return_indices=True)
    wet = np.where(humidity[own] > 0, humidity[own], np.nan)
    found[own] = dew_point_c(temperature[other], wet, np)
    return found


def _by_day(at_h: Ints, figures: Floats) -> tuple[Ints, Floats]:
    """Return the days and the means of their hours; NaN with fewer than `FEWEST_HOURS`."""
    days, of = np.unique(at_h * 3_600_000 // DAY_MS, return_inverse=True)
    means = np.full((len(days), figures.shape[1]), np.nan)
    for column in range(figures.shape[1]):
        known = ~np.isnan(figures[:, column])
        count = np.bincount(of[known], minlength=len(days))
        total = np.bincount(of[known], weights=figures[known, column], minlength=len(days))
        enough = count >= FEWEST_HOURS
        means[enough, column] = total[enough] / count[enough]
    return days, means
