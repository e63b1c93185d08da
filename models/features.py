"""Computes features, a model's input of the past day, in the same way everywhere.

Gateway, training and live scoring call the same two functions. For each instant, `windows` puts the
values that were known then into a grid of whole hours. `features` turns grids into columns. A value
is known at an instant if it was measured at or before that instant and is not older than its age
limit. Nothing is interpolated, because interpolation would use later values. Requires numpy.

An hour's value is the last value of its ten-minute slot, because a gateway keeps only that value of
each slot (`edge.forecasting.window`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.conditions import MODEL_INPUTS, Comparison, Condition, inputs_of
from models.derived import dew_point_c
from models.replay import Readings

__all__ = [
    "BASELINE_NAMES",
    "FEATURES_VERSION",
    "FEATURE_NAMES",
    "LAGS",
    "SLOT_MS",
    "Features",
    "features",
    "windows",
]

FEATURES_VERSION = 1  # a bundle made for another version is refused
LAGS = 25  # hours 0 to 24 before the instant
SLOT_MS = 600_000
HOUR_MS = 3_600_000
MAX_AGE_H = (3.0, 3.0, 12.0)  # for each of MODEL_INPUTS; older values are unknown
HINGES = (2.0, 5.0, 10.0)  # distances before the limit, in the signal's unit

Floats = NDArray[np.float64]

BASELINE_NAMES = (
    "distance",
    *(f"distance_above_{-hinge:g}" for hinge in HINGES),
    *(f"hour_{name}_{k}" for k in (1, 2) for name in ("sin", "cos")),
    "distance_hour_sin",
    "distance_hour_cos",
)
_CHANGES = (
    *("change_1h", "change_3h", "change_6h", "deviation_24h", "yesterday_at_target"),
    "spread_6h",
)
FEATURE_NAMES = (  # the columns of `features`; those of the baseline come first
    *BASELINE_NAMES,
    *(
        f"{signal}_{change}"
        for signal in ("temperature", "humidity", "dew_point", "margin")
        for change in _CHANGES
    ),
    "nearest_24h",
    "held_within_24h",
    "dew_point_against_yesterday",
    "dew_point_against_coldest_24h",
    "dew_point_change_3h_hour_sin",
    "dew_point_change_3h_hour_cos",
    "pressure_change_3h",
    "pressure_change_6h",
    "pressure_missing",
)


@dataclass(frozen=True, slots=True)
class Features:
    """Holds a model's input.

    Attributes:
        values: One row per window, columns as in `FEATURE_NAMES`; finite where usable.
        usable: Whether the window has all values that a forecast needs.
    """

    values: Floats
    usable: NDArray[np.bool_]


def windows(readings: Readings, at_ms: NDArray[np.int64], condition: Condition) -> Floats:
    """Returns a grid for each instant: the values known `lag` hours before that instant.

    Args:
        readings: Readings of one device; samples after an instant do not change its window.
        at_ms: Instants, ms since 1970 UTC.
        condition: The condition, which names the input signals.

    Returns:
        Array of shape (instants, inputs, LAGS), inputs in the order of `MODEL_INPUTS`; NaN where no
        value is known.
    """
    grid = np.full((len(at_ms), len(MODEL_INPUTS), LAGS), np.nan)
    for index, signal in enumerate(inputs_of(condition)):
        times, values = readings.of(signal)
        if len(times):
            grid[:, index, :] = _known(times, values, at_ms, MAX_AGE_H[index] * HOUR_MS)
    return grid


def _known(
    times: NDArray[np.int64], values: Floats, at_ms: NDArray[np.int64], max_age_ms: float
) -> Floats:
    slots = times // SLOT_MS
    last = np.append(slots[1:] != slots[:-1], True)  # whether a sample is the last of its slot
    found = np.empty((len(at_ms), LAGS))
    found[:, 0] = _as_of(times, values, at_ms, max_age_ms)
    before_ms = at_ms[:, np.newaxis] - np.arange(1, LAGS) * HOUR_MS
    found[:, 1:] = _as_of(times[last], values[last], before_ms, max_age_ms)
    return found


def _as_of(
    times: NDArray[np.int64], values: Floats, at_ms: NDArray[np.int64], max_age_ms: float
) -> Floats:
    rows = np.searchsorted(times, at_ms, side="right") - 1
    found = values[rows]
    found[(rows < 0) | (at_ms - times[rows] > max_age_ms)] = np.nan
    return found


def features(grid: Floats, at_ms: NDArray[np.int64], condition: Condition) -> Features:
    """Returns the feature columns of each window.

    Args:
        grid: Result of `windows`.
        at_ms: The same instants, ms since 1970 UTC; the hour of day is in UTC.
        condition: The condition; the distance is measured to its limit.
    """
    signals = _signals(grid, condition)
    dew_point = signals[2]
    beside = signals[0] if _moist(condition) else dew_point  # no difference without humidity
    distance = _distance(condition, grid)
    columns = [*_baseline(distance[:, 0], at_ms)]
    horizon_h = min(LAGS - 1, max(1, round(condition.horizon_s / 3600)))
    for signal in signals:
        columns += _changes(signal, LAGS - 1 - horizon_h)
    columns += _of_the_day(distance, beside, dew_point, LAGS - 1 - horizon_h)
    columns += _by_hour(dew_point[:, 0] - dew_point[:, 3], at_ms)
    columns += _tendency(grid[:, 2])
    values = np.stack(columns, axis=1)
    usable = np.logical_and.reduce(np.isfinite(values), axis=1)
    return Features(values, usable)


def _signals(grid: Floats, condition: Condition) -> tuple[Floats, Floats, Floats, Floats]:
    """Returns temperature, humidity, dew point and margin, each of shape (instants, LAGS).

    A signal without a declared input is 0 everywhere, so its columns are constant and no model can
    learn from them. A declared input without a value is NaN, so the window is not usable.
    """
    nothing = np.zeros(grid[:, 0].shape)
    has = [signal is not None for signal in inputs_of(condition)]
    temperature, humidity = (grid[:, i] if has[i] else nothing for i in (0, 1))
    if not _moist(condition):
        return temperature, humidity, nothing, nothing
    dew_point = dew_point_c(temperature, np.where(humidity > 0, humidity, np.nan), np)
    return temperature, humidity, dew_point, temperature - dew_point


def _moist(condition: Condition) -> bool:
    """Returns whether temperature and humidity are declared, which a dew point needs."""
    return None not in inputs_of(condition)[:2]


def _distance(condition: Condition, grid: Floats) -> Floats:
    """Returns the distance beyond the limit (negative: before it), shape (instants, LAGS).

    All values are NaN for a signal that is not an input of models, so no window is usable.
    """
    known = {quantity: grid[:, index] for index, quantity in enumerate(MODEL_INPUTS)}
    if condition.derived is not None:
        facts = condition.derived.facts
        value = facts.values(*(known[quantity] for quantity in facts.inputs))
    else:
        own = None if condition.signal is None else known.get(condition.signal.quantity)
        value = np.full(grid[:, 0].shape, np.nan) if own is None else own
    sign = 1.0 if condition.comparison is Comparison.ABOVE else -1.0
    return sign * (value - condition.limit)


def _baseline(distance: Floats, at_ms: NDArray[np.int64]) -> list[Floats]:
    hour = _hour_of_day(at_ms)
    hinges = [np.maximum(distance + hinge, 0.0) for hinge in HINGES]
    hours = [f(k * hour) for k in (1, 2) for f in (np.sin, np.cos)]
    return [distance, *hinges, *hours, distance * np.sin(hour) / 5, distance * np.cos(hour) / 5]


def _hour_of_day(at_ms: NDArray[np.int64]) -> Floats:
    """Returns the hour of the UTC day as an angle, 0 to 2 pi."""
    angle: Floats = 2 * np.pi * (at_ms % (24 * HOUR_MS)) / (24 * HOUR_MS)
    return angle


def _by_hour(change: Floats, at_ms: NDArray[np.int64]) -> list[Floats]:
    hour = _hour_of_day(at_ms)
    return [change * np.sin(hour), change * np.cos(hour)]


def _changes(signal: Floats, target_lag: int) -> list[Floats]:
    now = signal[:, 0]
    return [
        *(now - signal[:, lag] for lag in (1, 3, 6)),
        now - signal[:, :24].mean(axis=1),
        signal[:, target_lag] - now,
        signal[:, :6].std(axis=1, ddof=1),
    ]


def _of_the_day(
    distance: Floats, temperature: Floats, dew_point: Floats, target_lag: int
) -> list[Floats]:
    nearest = distance[:, :24].max(axis=1)
    return [
        nearest - distance[:, 0],
        (nearest > 0).astype(np.float64),
        dew_point[:, 0] - temperature[:, target_lag],
        dew_point[:, 0] - temperature[:, :24].min(axis=1),
    ]


def _tendency(pressure: Floats) -> list[Floats]:
    changes = [(pressure[:, 0] - pressure[:, lag]) / 100.0 for lag in (3, 6)]  # hPa
    missing = np.isnan(changes[0]) | np.isnan(changes[1])
    return [*(np.where(missing, 0.0, c) for c in changes), missing.astype(np.float64)]
