"""Computes the forecasts of one device over a span of time from readings and terms.

A term is a time in which a model is in force. A step is a piece of time in which a condition is
evaluated once. To evaluate a step, the condition is replayed from some whole days before the step's
day, so that every batch gets the same result. `warm_days` covers windows, ages and durations. If a
value stays between limit and hysteresis for longer, the condition counts as false.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.forecast import Forecast
from cloud.scoring.champions import Term
from cloud.scoring.predict import OnnxModel
from models.conditions import Condition, all_signals, signals_of
from models.features import HOUR_MS, LAGS, MAX_AGE_H, features, windows
from models.replay import Readings, replay

__all__ = ["DAY_MS", "DeviceReadings", "TimeSpan", "day_of", "forecasts", "warm_days"]

DAY_MS = 86_400_000
_REACH_MS = int((LAGS - 1 + max(MAX_AGE_H)) * HOUR_MS)  # largest age of a window's reading
_DECIMALS = 6  # the same rounding as on the gateway

Run = Callable[[OnnxModel, NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Instants in [from_ms, until_ms), ms since 1970 UTC."""

    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class DeviceReadings:
    """Readings of one device, sorted by time, with the origin of each.

    Attributes:
        device_id: The device.
        readings: Usable values; NaN for unusable ones.
        stream_ids: Stream of each row.
        seqs: Number of each row.
        backfilled: Whether the row's first delivery used the backfill lane.
    """

    device_id: str
    readings: Readings
    stream_ids: Sequence[str]
    seqs: NDArray[np.int64]
    backfilled: NDArray[np.bool_]


def day_of(at_ms: int) -> int:
    """Return the begin of the UTC day, ms since 1970."""
    return at_ms - at_ms % DAY_MS


def warm_days(terms: Sequence[Term]) -> int:
    """Return the number of days before a day on which its steps depend."""
    longest_s = max((t.condition.duration_s + t.condition.max_age_s for t in terms), default=0)
    return 1 + -(-max(_REACH_MS, longest_s * 1000) // DAY_MS)


def forecasts(
    device: DeviceReadings, terms: Sequence[Term], span: TimeSpan, warm: int, run: Run
) -> Iterator[Forecast]:
    """Yield the forecasts of the terms in force at each step of the span.

    Args:
        device: Readings from `warm` days before the span's first day to the span's end.
        terms: Models and the times in which they are in force.
        span: Forecasts are made for the steps that are completed within this span.
        warm: The result of `warm_days`.
        run: Function that computes probabilities with a model.
    """
    for condition in dict.fromkeys(t.condition for t in terms):
        rows = _completing(device.readings, condition, span, warm)
        at_ms = device.readings.at_ms[rows]
        for term in terms:
            if term.condition == condition:
                end = np.inf if term.until_at is None else term.until_at
                mine = (at_ms >= term.from_at) & (at_ms < end)
                yield from _of_term(device, term, rows[mine], run)


def _completing(
    readings: Readings, condition: Condition, span: TimeSpan, warm: int
) -> NDArray[np.int64]:
    """Return the rows that completed a step after which the condition is false."""
    rows = np.flatnonzero(readings.are(signals_of(condition)))
    mine = readings.rows(rows)
    days = np.unique(mine.at_ms - mine.at_ms % DAY_MS)
    inside = (days >= day_of(span.from_ms)) & (days < span.until_ms)
    found = [_of_day(mine, condition, int(day), warm) for day in days[inside]]
    chosen = np.concatenate(found) if found else np.zeros(0, np.int64)
    at_ms = mine.at_ms[chosen]
    return rows[chosen[(at_ms >= span.from_ms) & (at_ms < span.until_ms)]]


def _of_day(mine: Readings, condition: Condition, day_ms: int, warm: int) -> NDArray[np.int64]:
    ends = (day_ms - warm * DAY_MS, day_ms, day_ms + DAY_MS)
    first, begin, end = np.searchsorted(mine.at_ms, ends).tolist()
    steps = replay(condition, mine.rows(slice(first, end)))
    chosen = steps.rows[steps.full & ~steps.holds] + first
    return np.asarray(chosen[chosen >= begin])


def _of_term(
    device: DeviceReadings, term: Term, rows: NDArray[np.int64], run: Run
) -> Iterator[Forecast]:
    at_ms = device.readings.at_ms[rows]
    made = features(windows(device.readings, at_ms, term.condition), at_ms, term.condition)
    rows, at_ms = rows[made.usable], at_ms[made.usable]
    if not len(rows):
        return
    found = run(term.runnable, made.values[made.usable])
    late = _late(device, term.condition, at_ms)
    for row, at, probability, is_late in zip(rows, at_ms, found, late, strict=True):
        yield Forecast(
            device_id=device.device_id,
            stream_id=device.stream_ids[row],
            seq=int(device.seqs[row]),
            condition_id=term.condition.id,
            model=term.model,
            version=term.version,
            issued_at=int(at),
            horizon_s=term.condition.horizon_s,
            probability=round(float(probability), _DECIMALS),
            late=bool(is_late),
        )


def _late(
    device: DeviceReadings, condition: Condition, at_ms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    readings = device.readings
    used = readings.are(all_signals((condition,))) & ~np.isnan(readings.values)
    used &= device.backfilled
    before = np.concatenate(([0], np.cumsum(used)))
    first = np.searchsorted(readings.at_ms, at_ms - _REACH_MS, side="left")
    end = np.searchsorted(readings.at_ms, at_ms, side="right")
    return np.asarray(before[end] > before[first])
