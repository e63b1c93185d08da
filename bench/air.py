"""Simulates the sensors that the benches use: their names, and values like those of an SHT4x.

This module contains the assumptions about real sensors (noise, drift, timing). All random values
are seeded.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from contract.blocks import Series
from contract.quantities import Flag, Quality, Quantity
from firmware_bridge.board import Sample

__all__ = ["NAME_SETS", "TICK_MS", "Layout", "Noise", "Placed", "Tick", "layout_of", "ticks"]

TICK_MS = 1000
# One read of an SHT4x takes 8.3 ms at high precision, plus the transfer on the bus. So the next
# sensor of the same tick is read that much later. Wake-ups are late as on a loaded small board.
_READ_MS = 10
_LATE_MS = (0, 0, 0, 0, 0, 0, 1, 1, 2)

# Eight names per set. None of them is in the preset dictionary (the bench checks that).
NAME_SETS: dict[str, tuple[str, ...]] = {
    "rooms": ("cellar", "attic", "kitchen", "workshop", "nursery", "library", "garage", "pantry"),
    "racks": tuple(f"rack-{n:02d}-{side}" for n in (7, 8, 11, 12) for side in ("inlet", "exhaust")),
    "codes": tuple(f"s-{random.Random(n).getrandbits(32):08x}" for n in range(8)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Holds the standard deviation between consecutive measurements in still air.

    The data sheet of the SHT4x gives a repeatability of 0.04 Cel and 0.08 %RH at high precision,
    three standard deviations. The default adds about half as much for movement of the air.

    Attributes:
        temperature_c: Standard deviation of temperature, Cel.
        humidity_pct: Standard deviation of humidity, %RH.
    """

    temperature_c: float = 0.02
    humidity_pct: float = 0.05


@dataclass(frozen=True, slots=True)
class Placed:
    """Describes one sensor: its role and its columns."""

    sensor_id: str
    series: tuple[Series, ...]

    @property
    def qualities(self) -> tuple[tuple[Quality, tuple[Flag, ...]], ...]:
        """Quality of the sensor's readings: always good."""
        return ((Quality.GOOD, ()),) * len(self.series)


@dataclass(frozen=True, slots=True)
class Layout:
    """Describes eight signals on some sensors.

    Attributes:
        name: Name in the printed table.
        sensors: Sensors in the order in which they are read.
    """

    name: str
    sensors: tuple[Placed, ...]

    @property
    def signals_total(self) -> int:
        """Number of readings per tick."""
        return sum(len(s.series) for s in self.sensors)


@dataclass(frozen=True, slots=True)
class Tick:
    """Holds one sample of each sensor with its offset in the stream, ms."""

    offset_ms: int
    samples: tuple[tuple[int, Sample], ...]


def layout_of(names: str, *, paired: bool) -> Layout:
    """Returns eight signals: four sensors of temperature and humidity, or eight of one quantity.

    Args:
        names: Key of `NAME_SETS`.
        paired: True for four sensors of both quantities.
    """
    both = (Quantity.TEMPERATURE, Quantity.HUMIDITY)
    groups = [both] * 4 if paired else [(both[i % 2],) for i in range(8)]
    sensors = tuple(
        Placed(name, tuple(Series(q, q.facts.decimals) for q in group))
        for name, group in zip(NAME_SETS[names], groups, strict=False)
    )
    return Layout(f"{names}, {len(sensors)} sensors", sensors)


@dataclass(slots=True)
class _Drift:
    """Simulates slow changes of the air: a wave from heating and a random walk."""

    mean: float
    swing: float
    period_s: float
    step: float
    walked: float = 0.0

    def at(self, second: int, source: random.Random) -> float:
        self.walked += source.gauss(0.0, self.step)
        return self.mean + self.walked + self.swing * math.sin(math.tau * second / self.period_s)


def ticks(layout: Layout, noise: Noise, seed: int) -> Iterator[Tick]:
    """Yields one tick per second without end, the same ticks for the same seed."""
    source = random.Random(seed)
    drifts = [[_drift(s.quantity, source) for s in placed.series] for placed in layout.sensors]
    second = 0
    while True:
        begins_ms = second * TICK_MS + source.choice(_LATE_MS)
        samples = []
        for index, placed in enumerate(layout.sensors):
            values = tuple(
                (s.quantity, d.at(second, source) + source.gauss(0.0, _sigma(s.quantity, noise)))
                for s, d in zip(placed.series, drifts[index], strict=True)
            )
            offset_ms = begins_ms + index * _READ_MS + source.choice(_LATE_MS)
            samples.append((offset_ms, Sample(values=values, flags=frozenset())))
        yield Tick(begins_ms, tuple(samples))
        second += 1


def _drift(quantity: Quantity, source: random.Random) -> _Drift:
    period_s = source.uniform(1200.0, 7200.0)
    if quantity is Quantity.TEMPERATURE:
        return _Drift(source.uniform(15.0, 25.0), 0.8, period_s, 0.002)
    return _Drift(source.uniform(35.0, 65.0), 3.0, period_s, 0.01)


def _sigma(quantity: Quantity, noise: Noise) -> float:
    return noise.temperature_c if quantity is Quantity.TEMPERATURE else noise.humidity_pct
