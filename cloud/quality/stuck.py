"""Finds values that stay the same for far longer than their series ever has.

A sensor with a coarse resolution in a calm place is constant for hours, so the limit is learned
from the series: twice its longest constant time of the past 28 days. A value at an end of its
range is saturated, not stuck: humidity of 100 % for a day is weather.
"""

import numpy as np
from numpy.typing import NDArray

from cloud.quality.past import DAY_MS, LOOK_BACK_DAYS, Series
from cloud.quality.spans import Found

__all__ = ["LEAST_MS", "TIMES_LONGEST", "stuck"]

Ints = NDArray[np.int64]

LEAST_MS = 6 * 3_600_000  # shorter constant times do no harm to a forecast over hours
TIMES_LONGEST = 2.0
FEWEST_READINGS = 8
_FEWEST_RUNS = 30  # fewer constant times, of any length, teach nothing about a series
_FEWEST_DAYS = 5
_GAP_TIMES = 3  # a longer time between two readings, in usual intervals, ends a constant time


def stuck(series: Series) -> Found:
    """Return the readings of constant times; the figure is their length, hours."""
    figure = np.full(len(series), np.nan)
    known_ms = series.at_ms.copy()
    begins, ends = _runs(series)  # rows of the first and the last reading of each run
    at_ms = series.at_ms
    lengths = at_ms[ends] - at_ms[begins]
    wild = series.saturated[begins]
    several = (lengths >= LEAST_MS) & (ends - begins + 1 >= FEWEST_READINGS) & ~wild
    for run in np.flatnonzero(several).tolist():
        limit_ms = _limit_ms(at_ms, begins, ends, wild, run)
        if lengths[run] >= limit_ms:
            rows = slice(int(begins[run]), int(ends[run]) + 1)
            own = at_ms[rows]
            figure[rows] = lengths[run] / 3_600_000
            enough = own[np.searchsorted(own, own[0] + limit_ms)]
            known_ms[rows] = np.maximum(own, max(enough, own[FEWEST_READINGS - 1]))
    return Found(figure, known_ms)


def _runs(series: Series) -> tuple[Ints, Ints]:
    if not len(series):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    between, usual = np.diff(series.at_ms), series.intervals_ms[1:]
    # Without a usual interval a gap cannot be seen, and there is no limit either.
    apart = (np.diff(series.values) != 0) | (between > _GAP_TIMES * usual)
    begins = np.concatenate(([0], np.flatnonzero(apart) + 1)).astype(np.int64)
    return begins, np.append(begins[1:] - 1, len(series) - 1).astype(np.int64)


def _limit_ms(
    at_ms: Ints, begins: Ints, ends: Ints, saturated: NDArray[np.bool_], run: int
) -> float:
    """Return the length from which a run is stuck, ms; infinity if too little is known."""
    begin_day = at_ms[begins[run]] // DAY_MS
    since_ms = (begin_day - LOOK_BACK_DAYS) * DAY_MS
    first = int(np.searchsorted(at_ms[begins], since_ms))
    known_days = begin_day - max(at_ms[0], since_ms) // DAY_MS
    if run - first < _FEWEST_RUNS or known_days < _FEWEST_DAYS:
        return np.inf
    lengths = (at_ms[ends[first:run]] - at_ms[begins[first:run]])[~saturated[first:run]]
    longest = int(lengths.max()) if len(lengths) else 0
    return max(LEAST_MS, TIMES_LONGEST * longest)
