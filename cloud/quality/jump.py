"""Finds changes between two readings that are far faster than their series has, and that stay.

A fault such as a new calibration, a moved sensor or a bad contact shifts the level from one reading
to the next. The limit is learned from the changes of the past 28 days. The span is one reading,
where the level changed: whether the new or the old level is right, only other signals can show.
"""

import numpy as np

from cloud.quality.past import Series, around, bounded, trailing
from cloud.quality.spans import Found

__all__ = ["jump"]

_SIDE = 3  # readings whose median is the level
_SHARE = 0.99
_TIMES = 3.0
_LEAST = 5  # resolutions; smaller changes do no harm


def jump(series: Series) -> Found:
    """Return the first reading after each jump; the figure is the change of the level."""
    if len(series) <= 2 * _SIDE:
        return Found(np.full(len(series), np.nan), series.at_ms)
    whole = bounded(series, _SIDE, _SIDE - 1)
    side_by_side = around(series.values, _SIDE, _SIDE - 1)
    before, after = side_by_side[:, :_SIDE], side_by_side[:, _SIDE:]
    level = np.median(after, axis=1) - np.median(before, axis=1)
    change = after[:, 0] - before[:, -1]
    usual = trailing(series, np.where(whole, np.abs(change), np.nan), _SHARE)
    limit = np.maximum(_LEAST * series.resolutions, _TIMES * usual)
    # A spike changes the value but not the level; weather changes the level, but not at once.
    smaller = np.minimum(np.abs(change), np.abs(level))
    found = whole & (np.sign(change) == np.sign(level)) & (smaller > limit)
    figure = np.where(found, smaller, np.nan)
    later = np.minimum(np.arange(len(series)) + _SIDE - 1, len(series) - 1)
    return Found(figure, series.at_ms[later])
