"""Reads a condition's signal over time, for charts only.

Long periods are drawn from the summaries: a measured signal by day, a derived one from its inputs'
hourly means. Short periods are read as single readings, and so are long ones without summaries.
Table `truth`, not this signal, gives the times when the condition was true.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from cloud.reports.report import Point
from cloud.warehouse.aggregate_tables import DAYS, DIM_SENSORS, HOURS
from cloud.warehouse.plausible_rows import plausibly_dated
from cloud.warehouse.tables import FACTS
from contract.quantities import Quality
from contract.records import Kind
from contract.signals import Signal
from models.conditions import Condition, signals_of
from models.derived import Derived

__all__ = ["SignalReader"]

_DAY_S, _HOUR_S = 86_400, 3600
_SHORT_DAYS = 45  # for a shorter period, each step is drawn
Steps = Mapping[int, float]  # mean value by number of the step since 1970


class SignalReader:
    """Reads signals on one connection, each signal once for all conditions that use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[str, Signal, int], Steps] = {}

    def points(self, device_id: str, condition: Condition) -> tuple[Point, ...]:
        """Return a condition's signal on one device: one point a day, or a step if few days."""
        signals, derived = signals_of(condition), condition.derived
        if not self._has_long_summaries(device_id, signals):
            return tuple(self._from_readings(device_id, condition))
        if derived is None:
            return tuple(self._days(device_id, signals[0]))
        hours = [self._hours(device_id, signal) for signal in signals]
        return tuple(_binned(_derived(hours, derived), _HOUR_S, _DAY_S))

    def _has_long_summaries(self, device_id: str, signals: Sequence[Signal]) -> bool:
        ends = [self._ends(device_id, signal) for signal in signals]
        known = [end for end in ends if end is not None]
        if len(known) < len(signals):  # after an update, until the next `transform run`
            return False
        return (max(last for _, last in known) - min(day for day, _ in known)).days >= _SHORT_DAYS

    def _from_readings(self, device_id: str, condition: Condition) -> Iterator[Point]:
        step_s = condition.step_s
        steps = [self._steps(device_id, signal, step_s) for signal in signals_of(condition)]
        values = _derived(steps, condition.derived)
        if values:
            is_short = (max(values) - min(values)) * step_s < _SHORT_DAYS * _DAY_S
            yield from _binned(values, step_s, step_s if is_short else max(_DAY_S, step_s))

    def _ends(self, device_id: str, signal: Signal) -> tuple[date, date] | None:
        at = DIM_SENSORS.c
        query = select(at.first_day, at.last_day).where(*_of(at, device_id, signal))
        row = self._connection.execute(query).one_or_none()
        return None if row is None else (row.first_day, row.last_day)

    def _days(self, device_id: str, signal: Signal) -> Iterator[Point]:
        at = DAYS.c
        query = (
            select(at.begin_at, at.lowest, at.mean, at.highest)
            .where(*_of(at, device_id, signal), at.calendar == "utc", at.values_total > 0)
            .order_by(at.begin_at)
        )
        for begin_at, lowest, mean, highest in self._connection.execute(query):
            yield Point(at=begin_at, lowest=lowest, mean=mean, highest=highest)

    def _hours(self, device_id: str, signal: Signal) -> Steps:
        key = (device_id, signal, 0)
        if key not in self._read:
            at = HOURS.c
            query = select(at.begin_at, at.mean).where(*_of(at, device_id, signal))
            rows = self._connection.execute(query.where(at.values_total > 0))
            self._read[key] = {begin_at // (_HOUR_S * 1000): mean for begin_at, mean in rows}
        return self._read[key]

    def _steps(self, device_id: str, signal: Signal, step_s: int) -> Steps:
        key = (device_id, signal, step_s)
        if key not in self._read:
            at = FACTS[Kind.READING].c
            number = _seconds(at.observed_at).op("DIV")(step_s)
            query = (
                select(number, func.avg(at.value))
                .where(*_of(at, device_id, signal), at.quality != Quality.BAD.value)
                .where(at.value.is_not(None), at.statistic.is_(None), plausibly_dated(at))
                .group_by(number)
                .order_by(number)
            )
            rows = self._connection.execute(query)
            self._read[key] = {int(step): float(mean) for step, mean in rows}
        return self._read[key]


def _of(at: Any, device_id: str, signal: Signal) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a row belongs to a signal of a device."""
    return (
        at.device_id == device_id,
        at.sensor_id == signal.sensor_id,
        at.quantity == signal.quantity.value,
    )


def _derived(inputs: list[Steps], derived: Derived | None) -> Steps:
    """Return the values at the instants that all inputs have; the only input if not derived."""
    if derived is None:
        return inputs[0]
    everywhere = [at for at in inputs[0] if all(at in of_input for of_input in inputs)]
    computed = {
        at: derived.facts.value(*(of_input[at] for of_input in inputs)) for at in everywhere
    }
    return {at: value for at, value in computed.items() if value is not None}


def _seconds(instant: ColumnElement[Any]) -> ColumnElement[Any]:
    # UNIX_TIMESTAMP ends in 2038 on MariaDB 10.11, so TIMESTAMPDIFF is used.
    epoch: ColumnElement[Any] = literal_column("'1970-01-01 00:00:00'")
    return func.timestampdiff(literal_column("SECOND"), epoch, instant)


def _binned(values: Steps, step_s: int, bin_s: int) -> Iterator[Point]:
    for number, steps in groupby(sorted(values), key=lambda step: step * step_s // bin_s):
        found = [values[step] for step in steps]
        yield Point(
            at=number * bin_s * 1000,
            lowest=min(found),
            mean=sum(found) / len(found),
            highest=max(found),
        )
