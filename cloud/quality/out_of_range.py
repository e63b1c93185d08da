"""Finds values outside the plausible range of their quantity.

A gateway gives such a value quality `bad`, and no rule uses it. An old gateway may have other
limits. The rule is that of flag `out_of_range` in column `clean_flags`.
"""

import numpy as np

from cloud.quality.past import Series
from cloud.quality.spans import Found

__all__ = ["out_of_range"]


def out_of_range(series: Series) -> Found:
    """Return the readings outside the range; the figure is the value."""
    facts = series.quantity.facts
    outside = (series.values < facts.low) | (series.values > facts.high)
    return Found(np.where(outside, series.values, np.nan), series.at_ms)
