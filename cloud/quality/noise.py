"""Finds times in which neighbouring readings differ far more than usual.

The measure is the median size of the second difference over the past 24 readings. It ignores level
and slope, and a single spike does not change it. The limit is learned from the past 28 days.
"""

import numpy as np

from cloud.quality.past import Series, around, bounded, trailing
from cloud.quality.spans import Found

__all__ = ["noise"]

_READINGS = 24
_SHARE = 0.5  # the median: noise of two weeks does not become usual
_TIMES = 4.0
_LEAST = 3  # resolutions; rounding alone makes second differences of two


def noise(series: Series) -> Found:
    """Return the noisy readings; the figure is the median second difference."""
    if len(series) <= _READINGS + 2:
        return Found(np.full(len(series), np.nan), series.at_ms)
    second = np.full(len(series), np.nan)
    second[2:] = np.abs(np.diff(series.values, 2))
    second[~bounded(series, 2, 0)] = np.nan
    window = around(second, _READINGS - 1, 0)
    measure = np.median(window, axis=1)  # NaN if one of them is missing
    usual = trailing(series, measure, _SHARE)
    limit = np.maximum(_LEAST * series.resolutions, _TIMES * usual)
    return Found(np.where(measure > limit, measure, np.nan), series.at_ms)
