"""Finds the signals that usually move together, and how far each is from the others.

Sites need not be declared: signals are neighbours if their changes from day to day correlate. A
sensor that drifts still changes with the weather like the others, so drift does not hide
neighbours. All devices of the fleet, and all sensors of a device, are candidates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.quality.days import Days

__all__ = ["CORRELATED", "FEWEST_DAYS", "Grid", "differences", "grid_of", "neighbours"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CORRELATED = 0.7  # smallest correlation of two neighbours' changes from day to day
FEWEST_DAYS = 30  # common changes without which a correlation says nothing
MOST = 7  # neighbours whose median is compared; more do not make it better


@dataclass(frozen=True, slots=True)
class Grid:
    """Days of several signals of one quantity, as one table.

    Attributes:
        first_day: Day of the first column, days since 1970-01-01 UTC.
        values: Shape (signals, days); NaN where a signal has no figure.
    """

    first_day: int
    values: Floats


def grid_of(days: list[Days], *, dew_points: bool) -> Grid:
    """Return the days of several signals of one quantity.

    Args:
        days: At least one signal.
        dew_points: Whether to compare dew points instead of means.
    """
    begins = [int(d.days[0]) for d in days if len(d.days)]
    ends = [int(d.days[-1]) + 1 for d in days if len(d.days)]
    if not begins:
        return Grid(0, np.full((len(days), 0), np.nan))
    first = min(begins)
    values = np.full((len(days), max(ends) - first), np.nan)
    for row, own in enumerate(days):
        values[row, own.days - first] = own.dew_points if dew_points else own.means
    return Grid(first, values)


def neighbours(values: Floats) -> Flags:
    """Return which signals are neighbours, shape (signals, signals); none is its own."""
    changes = np.diff(values, axis=1)
    known = ~np.isnan(changes)
    both = known.astype(np.float64) @ known.T.astype(np.float64)
    filled = np.where(known, changes, 0.0)
    # Means and squares over the common days only, so that gaps of one do not count for the other.
    products, squares = filled @ filled.T, (filled**2) @ known.T
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = products / np.sqrt(squares * squares.T)
    close = (correlation >= CORRELATED) & (both >= FEWEST_DAYS)
    np.fill_diagonal(close, val=False)
    return _nearest(close, correlation)


def _nearest(close: Flags, correlation: Floats) -> Flags:
    ranked = np.where(close, correlation, -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :MOST]
    chosen = np.zeros_like(close)
    np.put_along_axis(chosen, order, np.take_along_axis(close, order, axis=1), axis=1)
    return chosen


def differences(own: Floats, others: Floats) -> Floats:
    """Return each day's difference from the median of the neighbours; NaN where one is missing.

    Args:
        own: Days of a signal.
        others: Days of its neighbours, shape (neighbours, days).
    """
    found = np.full(len(own), np.nan)
    some = (~np.isnan(others)).any(axis=0)
    if some.any():
        found[some] = own[some] - np.nanmedian(others[:, some], axis=0)
    return found
