"""Reads each sensor when it is due, and turns the result into a reading.

A failing sensor does not affect the others. Its failures are counted; only the first failure and
the recovery are logged. A failed read has no value; no value is repeated, clamped or invented.
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

_SLEW_S = 0.6  # slightly more than the largest change of UTC that is not called a jump
_GOOD: tuple[Quality, tuple[Flag, ...]] = (Quality.GOOD, ())


@dataclass(slots=True)
class Sensor:
    """One configured chip.

    Attributes:
        sensor_id: Role of the sensor.
        interval_s: Seconds between two readings.
        series: Quantities that the sensor measures, with their decimals.
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
        """Returns one reading of all quantities of the chip.

        Raises:
            SensorError: The chip gave no reading.
        """
        if self.chip is None:
            self.chip = self.open()
        return self.chip.read()

    def close(self) -> None:
        """Closes the chip; a second call does nothing."""
        if self.chip is not None:
            self.chip.close()
            self.chip = None


class Sampler:
    """Reads the sensors that are due, in the order of the configuration."""

    def __init__(self, sensors: Iterable[Sensor]) -> None:
        self._sensors = tuple(sensors)
        self.samples_total = 0
        self.failures_total = 0

    def next_due_s(self) -> float:
        """Returns the earliest time, in monotonic seconds, at which a sensor is due."""
        return min(s.due_s for s in self._sensors)

    def readings_in(self, seconds: float) -> int:
        """Returns the number of readings in that time, as the estimate of a loss."""
        return sum(int(seconds / s.interval_s) * len(s.series) for s in self._sensors)

    @property
    def widest(self) -> int:
        """Returns the largest number of readings that one sensor makes at once."""
        return max(len(s.series) for s in self._sensors)

    @property
    def longest_interval_s(self) -> float:
        """Returns the slowest sensor's interval, seconds."""
        return max(s.interval_s for s in self._sensors)

    def read_due(
        self, now_s: float, offset_of: Callable[[], int], phase_s: float
    ) -> list[Measured]:
        """Reads all sensors that are due; returns their readings.

        Args:
            now_s: Monotonic seconds.
            offset_of: Returns the offset in the stream (ms) at the time of the call.
            phase_s: UTC minus monotonic seconds, 0 if UTC is unknown. Readings are at whole
                multiples of the interval in UTC, so that all gateways sample at the same time.
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
            log.info("sensor %s: readings work again", sensor.sensor_id)


def _next_due(now_s: float, interval_s: float, phase_s: float) -> float:
    due_s = (math.floor((now_s + phase_s) / interval_s) + 1) * interval_s - phase_s
    # By float rounding or a slewed clock the multiple may be equal to this time, or just after it.
    # This time has been read already.
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
