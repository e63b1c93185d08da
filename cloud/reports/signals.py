"""Reads a condition's signal over time from the stored readings, for charts only.

The values are averaged by step and by day, so that a year of ten-second samples is drawn as fast as
a year of hourly ones. Table `truth`, not this signal, gives the times when the condition was true.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from cloud.reports.report import Point
from cloud.warehouse.plausible_rows import plausibly_dated
from cloud.warehouse.tables import FACTS
from contract.quantities import Quality
from contract.records import Kind
from contract.signals import Signal
from models.conditions import Condition, signals_of

__all__ = ["SignalReader"]

_DAY_S = 86_400
_SHORT_S = 45 * _DAY_S  # for a shorter period, each step is drawn
Steps = Mapping[int, float]  # mean value by number of the step since 1970


class SignalReader:
    """Reads signals on one connection, each signal once for all conditions that use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[str, Signal, int], Steps] = {}

    def points(self, device_id: str, condition: Condition) -> tuple[Point, ...]:
        """Return a condition's signal on one device: one point a day, or a step if few days."""
        values = self._values(device_id, condition)
        if not values:
            return ()
        step_s = condition.step_s
        short = (max(values) - min(values)) * step_s < _SHORT_S
        bin_s = step_s if short else max(_DAY_S, step_s)
        return tuple(_binned(values, step_s, bin_s))

    def _values(self, device_id: str, condition: Condition) -> Steps:
        steps = [self._steps(device_id, name, condition.step_s) for name in signals_of(condition)]
        derived = condition.derived
        if derived is None:
            return steps[0]
        everywhere = [at for at in steps[0] if all(at in of_input for of_input in steps)]
        computed = {
            at: derived.facts.value(*(of_input[at] for of_input in steps)) for at in everywhere
        }
        return {at: value for at, value in computed.items() if value is not None}

    def _steps(self, device_id: str, signal: Signal, step_s: int) -> Steps:
        key = (device_id, signal, step_s)
        if key not in self._read:
            at = FACTS[Kind.READING].c
            number = _seconds(at.observed_at).op("DIV")(step_s)
            query = (
                select(number, func.avg(at.value))
                .where(at.device_id == device_id, at.sensor_id == signal.sensor_id)
                .where(at.quantity == signal.quantity.value, at.quality != Quality.BAD.value)
                .where(at.value.is_not(None), at.statistic.is_(None), plausibly_dated(at))
                .group_by(number)
                .order_by(number)
            )
            rows = self._connection.execute(query)
            self._read[key] = {int(step): float(mean) for step, mean in rows}
        return self._read[key]


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
