"""Sampling: when each sensor is due, and what one reading of it becomes.

A failing sensor is its own affair: it is logged once, counted, its recovery logged once, and the
others keep their times. A failed read has no value; nothing is repeated, clamped or made up.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from contract.blocks import Series
from contract.quantities import Flag, Quality, Quantity
from edge.storage.open_block import Measured
from firmware_bridge.board import Chip, Sample
from firmware_bridge.errors import SensorError

__all__ = ["Sampler", "Sensor"]

log = logging.getLogger(__name__)

_SLEW_S = 0.6  # a little more than UTC may be slewed by without being called a jump
_GOOD: tuple[Quality, tuple[Flag, ...]] = (Quality.GOOD, ())


@dataclass(slots=True)
class Sensor:
    """One configured chip.

    Attributes:
        sensor_id: Its role.
        interval_s: Seconds between two readings.
        series: Its columns.
        open: Opens the chip; called again after a fault.
    """

    sensor_id: str
    interval_s: float
    series: tuple[Series, ...]
    open: Callable[[], Chip]
    chip: Chip | None = None
    due_s: float = -math.inf
    failing: bool = False

    def read(self) -> Sample:
        """One instant of all its quantities.

        Raises:
            SensorError: No reading this time.
        """
        if self.chip is None:
            self.chip = self.open()
        return self.chip.read()

    def close(self) -> None:
        """Lets go of the chip; harmless twice."""
        if self.chip is not None:
            self.chip.close()
            self.chip = None


class Sampler:
    """Reads what is due, in the order of the configuration."""

    def __init__(self, sensors: Iterable[Sensor]) -> None:
        self._sensors = tuple(sensors)
        self.samples_total = 0
        self.failures_total = 0

    def next_due_s(self) -> float:
        """The earliest instant, in monotonic seconds, at which a sensor is due."""
        return min(s.due_s for s in self._sensors)

    def readings_in(self, seconds: float) -> int:
        """How many readings the sensors would make in that time: the estimate of a loss."""
        return sum(int(seconds / s.interval_s) * len(s.series) for s in self._sensors)

    @property
    def widest(self) -> int:
        """The most readings that one sensor makes at once."""
        return max(len(s.series) for s in self._sensors)

    @property
    def longest_interval_s(self) -> float:
        """The slowest sensor's interval, seconds."""
        return max(s.interval_s for s in self._sensors)

    def read_due(
        self, now_s: float, offset_of: Callable[[], int], phase_s: float
    ) -> list[Measured]:
        """Readings of all sensors that are due.

        Args:
            now_s: Monotonic seconds.
            offset_of: Gives the offset in the stream (ms) at the moment of the call.
            phase_s: UTC minus monotonic seconds, 0 if UTC is unknown: intervals fall on whole
                multiples of UTC, so that all gateways sample at the same instants.
        """
        measured = []
        for sensor in self._sensors:
            if sensor.due_s <= now_s:
                sensor.due_s = _next_due(now_s, sensor.interval_s, phase_s)
                measured.append(self._read(sensor, offset_of()))
        return measured

    def close(self) -> None:
        """Closes every chip."""
        for sensor in self._sensors:
            sensor.close()

    def _read(self, sensor: Sensor, offset_ms: int) -> Measured:
        self.samples_total += len(sensor.series)
        try:
            sample = sensor.read()
        except SensorError as error:
            self.failures_total += len(sensor.series)
            self._failed(sensor, error)
            flags = (error.flag,)
            qualities = tuple((Quality.BAD, flags) for _ in sensor.series)
            values: tuple[int | None, ...] = (None,) * len(sensor.series)
            return Measured(sensor.sensor_id, sensor.series, offset_ms, values, qualities)
        self._recovered(sensor)
        return _measured(sensor, offset_ms, sample)

    def _failed(self, sensor: Sensor, error: SensorError) -> None:
        if not error.retryable:
            sensor.close()
        if not sensor.failing:
            sensor.failing = True
            log.warning("sensor %s: no reading: %s", sensor.sensor_id, error)

    def _recovered(self, sensor: Sensor) -> None:
        if sensor.failing:
            sensor.failing = False
            log.info("sensor %s: reads again", sensor.sensor_id)


def _next_due(now_s: float, interval_s: float, phase_s: float) -> float:
    due_s = (math.floor((now_s + phase_s) / interval_s) + 1) * interval_s - phase_s
    # float rounding or a slewed calendar may put the multiple at or just behind this instant, which
    # has been read
    return due_s if due_s - now_s > min(interval_s / 2, _SLEW_S) else due_s + interval_s


def _measured(sensor: Sensor, offset_ms: int, sample: Sample) -> Measured:
    by_quantity = dict(sample.values)
    values, qualities = [], []
    for series in sensor.series:
        value = by_quantity[series.quantity]
        values.append(round(value * 10**series.decimals))
        qualities.append(_quality(series.quantity, value, sample.flags))
    return Measured(sensor.sensor_id, sensor.series, offset_ms, tuple(values), tuple(qualities))


def _quality(
    quantity: Quantity, value: float, flags: frozenset[Flag]
) -> tuple[Quality, tuple[Flag, ...]]:
    facts = quantity.facts
    if not facts.low <= value <= facts.high:
        return Quality.BAD, (*sorted(flags), Flag.OUT_OF_RANGE)
    return (Quality.GOOD, tuple(sorted(flags))) if flags else _GOOD
