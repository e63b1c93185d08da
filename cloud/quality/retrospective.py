"""Runs the detectors that compare signals with each other and with their own past year.

Their spans use later values and other devices. So they serve labels, truth and monitoring, and no
model's input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.quality.days import Days
from cloud.quality.drift import LEAST, Course, Slow, course_of, slow_times
from cloud.quality.neighbours import differences, grid_of, neighbours
from cloud.quality.past import DAY_MS
from cloud.quality.spans import Span
from contract.quantities import Quantity
from contract.signals import Signal

__all__ = ["DeviceSpan", "Slowly", "Standing", "compared"]

Floats = NDArray[np.float64]

YEAR_DAYS = 364  # whole weeks, so that a weekday is compared with the same weekday


@dataclass(frozen=True, slots=True, order=True)
class DeviceSpan:
    """A span of one device."""

    device_id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a signal is from its evidence now.

    Attributes:
        device_id: The device.
        signal: The signal.
        limits: Distance of the past four weeks from the usual difference, in limits: 1 or more is
            drift; None without evidence.
        neighbours_total: Number of neighbours; 0 if the signal's own past year is the evidence.
    """

    device_id: str
    signal: Signal
    limits: float | None
    neighbours_total: int


@dataclass(frozen=True, slots=True)
class Slowly:
    """Result of the comparison: spans, and the standing of each signal that can be compared."""

    spans: tuple[DeviceSpan, ...]
    standings: tuple[Standing, ...]


def compared(every: Sequence[Days]) -> Slowly:
    """Compare the signals of all devices with each other.

    Args:
        every: The days of all signals, with `cloud.quality.days.days_of`.
    """
    spans: list[DeviceSpan] = []
    standings: list[Standing] = []
    for kind in LEAST:
        own = [days for days in every if _kind(days) == kind]
        if sum(len(days.days) for days in own):
            group = _Group(own, kind)
            group.settle()
            spans += group.spans()
            standings += group.standings()
    return Slowly(tuple(sorted(spans)), tuple(standings))


def _kind(days: Days) -> str:
    """Return what is compared: dew points if at least half of the days have one."""
    if days.signal.quantity is Quantity.HUMIDITY:
        known = (~np.isnan(days.dew_points)).sum()
        return "dew_point" if 2 * known >= (~np.isnan(days.means)).sum() > 0 else "humidity"
    return days.signal.quantity.value


class _Group:
    """Signals that are compared with each other."""

    def __init__(self, every: list[Days], kind: str) -> None:
        self._every = every
        self._least = LEAST[kind]
        grid = grid_of(every, dew_points=kind == "dew_point")
        self._first_day, self._values = grid.first_day, grid.values
        self._close = neighbours(grid.values)
        self._left_out = np.zeros(grid.values.shape, np.bool_)
        self._courses: dict[int, Course] = {}
        self._slow: dict[int, list[Slow]] = {}

    def settle(self) -> None:
        """Find the suspect signals, the worst first.

        A signal that drifts also moves the median of its neighbours' neighbours. So the worst one
        is taken out of all comparisons, and the signals near it are compared again.
        """
        waiting = {row: self._compare(row) for row in range(len(self._every))}
        while suspects := {row: found for row, found in waiting.items() if found}:
            worst = max(suspects, key=lambda row: max(slow.limits for slow in suspects[row]))
            self._slow[worst] = waiting.pop(worst)
            for slow in self._slow[worst]:
                self._left_out[worst, slow.begin : slow.end + 1] = True
            for row in np.flatnonzero(self._close[:, worst]).tolist():
                if row in waiting:
                    waiting[row] = self._compare(row)

    def _compare(self, row: int) -> list[Slow]:
        own, close = self._values[row], self._close[row]
        if close.any():
            off = differences(own, np.where(self._left_out, np.nan, self._values)[close])
        else:
            off = own - _a_year_before(own)
        self._courses[row] = course_of(off, self._least)
        return slow_times(self._courses[row])

    def spans(self) -> Iterator[DeviceSpan]:
        """Yield the spans of all suspect signals."""
        for row, found in self._slow.items():
            for slow in found:
                yield DeviceSpan(self._every[row].device_id, self._span(row, slow))

    def _span(self, row: int, slow: Slow) -> Span:
        begin, end, known = (self._first_day + d for d in (slow.begin, slow.end, slow.known))
        return Span(
            signal=self._every[row].signal,
            fault=slow.fault,
            begin_ms=begin * DAY_MS,
            end_ms=(end + 1) * DAY_MS - 1,
            known_ms=(known + 1) * DAY_MS - 1,
            figure=round(slow.figure, 6),
        )

    def standings(self) -> Iterator[Standing]:
        """Yield the standing of each signal."""
        for row, own in enumerate(self._every):
            near = int(self._close[row].sum())
            yield Standing(own.device_id, own.signal, self._courses[row].standing, near)


def _a_year_before(own: Floats) -> Floats:
    """Return for each day the figure of the same weekday a year before; NaN without one."""
    before = np.full(len(own), np.nan)
    before[YEAR_DAYS:] = own[:-YEAR_DAYS] if len(own) > YEAR_DAYS else before[YEAR_DAYS:]
    return before
