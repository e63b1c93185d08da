"""Learns from the days before a day how one series usually behaves: its interval and its changes.

Each day is judged by the 28 days before it and by nothing later. So a detector gives the same
answer live, for one day, and for years of history.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.quantities import Quantity

__all__ = ["DAY_MS", "LOOK_BACK_DAYS", "Series", "around", "bounded", "trailing"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DAY_MS = 86_400_000
LOOK_BACK_DAYS = 28  # four weeks: weekends and a spell of other weather are in it
_FEWEST = 100  # readings without which nothing is known about a series
_FEWEST_DAYS = 5


@dataclass(frozen=True)  # without slots: several detectors ask for the cached figures
class Series:
    """The usable values of one signal.

    Attributes:
        quantity: The measured quantity.
        at_ms: Instants, ms since 1970 UTC, ascending; of equal ones the last value counts.
        values: Finite values in the quantity's unit.
    """

    quantity: Quantity
    at_ms: Ints
    values: Floats

    @classmethod
    def of(cls, quantity: Quantity, at_ms: Ints, values: Floats) -> "Series":
        """Return the series of a signal's samples, without NaN and repeated instants."""
        usable = ~np.isnan(values)
        at_ms, values = at_ms[usable], values[usable]
        last = np.append(at_ms[1:] != at_ms[:-1], True)[: len(at_ms)]
        return cls(quantity, at_ms[last], values[last])

    def __len__(self) -> int:
        return len(self.at_ms)

    @property
    def saturated(self) -> Flags:
        """Whether each value is at an end of what its sensor can measure."""
        facts = self.quantity.facts
        near = 10 * facts.resolution
        return np.asarray((self.values >= facts.high - near) | (self.values <= facts.low + near))

    @cached_property
    def intervals_ms(self) -> Floats:
        """For each reading the usual time between two readings, ms; NaN if unknown."""
        between = np.diff(self.at_ms, prepend=self.at_ms[:1]).astype(np.float64)
        between[:1] = np.nan
        return trailing(self, between, 0.5)

    @cached_property
    def resolutions(self) -> Floats:
        """For each reading the sensor's resolution: its usual smallest change.

        A driver may round more finely than its sensor measures. Without enough changes it is the
        resolution of the quantity.
        """
        changes = np.abs(np.diff(self.values, prepend=self.values[:1]))
        found = trailing(self, np.where(changes > 0, changes, np.nan), 0.05)
        return np.fmax(found, self.quantity.facts.resolution)


def trailing(series: Series, figures: Floats, share: float, reach: int = 0) -> Floats:
    """Return for each reading a quantile of figures of the 28 days before its day.

    Args:
        series: The series.
        figures: A figure of each reading; NaN where there is none.
        share: The quantile, 0 to 1.
        reach: Number of later readings that a figure uses; so many figures before the day are left
            out.

    Returns:
        One value for each reading; NaN while fewer than 100 figures or 5 days are known.
    """
    days = series.at_ms // DAY_MS
    found = np.full(len(series), np.nan)
    first_day = int(days[0]) if len(days) else 0
    begins = np.flatnonzero(np.diff(days, prepend=-1))
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(series)], strict=True):
        day = int(days[begin])
        since = int(np.searchsorted(days, day - LOOK_BACK_DAYS))
        past = figures[since : max(since, begin - reach)]
        past = past[~np.isnan(past)]
        if len(past) >= _FEWEST and day - max(first_day, day - LOOK_BACK_DAYS) >= _FEWEST_DAYS:
            found[begin:end] = np.quantile(past, share)
    return found


def around(values: Floats, before: int, after: int) -> Floats:
    """Return the readings around each reading, shape (readings, before + 1 + after).

    Readings that do not exist are NaN.
    """
    padded = np.concatenate((np.full(before, np.nan), values, np.full(after, np.nan)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, before + 1 + after)
    return np.asarray(windows)


def bounded(series: Series, before: int, after: int) -> Flags:
    """Return whether the readings around each reading exist and have no gap between them.

    A gap is a time of more than three usual intervals.
    """
    between = np.diff(series.at_ms, prepend=series.at_ms[:1]).astype(np.float64)
    between[:1] = np.nan  # no reading is before the first one
    usual = series.intervals_ms
    inside = around(between, before - 1, after) if before else around(between, 0, after)[:, 1:]
    # Comparing with NaN gives False: a window without all its readings is not judged.
    return np.asarray((inside <= 3 * usual[:, np.newaxis]).all(axis=1))
