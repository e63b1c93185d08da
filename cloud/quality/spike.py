"""Finds one or two readings that are far from the readings before and after: Hampel's filter.

Hampel's filter compares a value with the median of the values around it (Hampel 1974, Journal of
the American Statistical Association 69, 383; Pearson 2002, IEEE Transactions on Control Systems
Technology 10, 55). Here the window has two readings on each side. A steady rise or fall has a
residual of zero, however fast it is. The limit is learned from the residuals of the past 28 days.
"""

import numpy as np

from cloud.quality.past import Series, around, bounded, trailing
from cloud.quality.spans import Found

__all__ = ["spike"]

_HALF = 2
_SHARE = 0.99  # quantile of the past residuals; the largest ones may be spikes themselves
_TIMES = 4.0
_LEAST = 5  # resolutions; smaller deviations do no harm


def spike(series: Series) -> Found:
    """Return the spikes; the figure is their distance from the median around them."""
    if len(series) <= 2 * _HALF:
        return Found(np.full(len(series), np.nan), series.at_ms)
    whole = bounded(series, _HALF, _HALF)
    around_it = around(series.values, _HALF, _HALF)
    residual = np.where(whole, np.abs(series.values - np.median(around_it, axis=1)), np.nan)
    usual = trailing(series, residual, _SHARE, reach=_HALF)
    limit = np.maximum(_LEAST * series.resolutions, _TIMES * usual)
    figure = np.where(residual > limit, residual, np.nan)
    later = np.minimum(np.arange(len(series)) + _HALF, len(series) - 1)
    return Found(figure, series.at_ms[later])
