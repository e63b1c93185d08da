"""What the benches measure: sensors, their names, and values as an SHT4x would give them.

Owns the assumptions about reality (noise, drift, timing), all seeded. Knows no clock and no store.
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
# One read of an SHT4x at high precision takes 8.3 ms and some of the bus: the next sensor of the
# same tick is that much later. The lateness of a wake-up is what a loaded small board shows.
_READ_MS = 10
_LATE_MS = (0, 0, 0, 0, 0, 0, 1, 1, 2)

# Eight names a set, none of them in the preset dictionary (the bench checks that).
NAME_SETS: dict[str, tuple[str, ...]] = {
    "rooms": ("cellar", "attic", "kitchen", "workshop", "nursery", "library", "garage", "pantry"),
    "racks": tuple(f"rack-{n:02d}-{side}" for n in (7, 8, 11, 12) for side in ("inlet", "exhaust")),
    "codes": tuple(f"s-{random.Random(n).getrandbits(32):08x}" for n in range(8)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Standard deviation of one measurement from the next in still air.

    An SHT4x at high precision repeats to 0.04 Cel and 0.08 %RH, three standard deviations
    (data sheet, sensor performance); the default allows about half as much again for the air.

    Attributes:
        temperature_c: Cel.
        humidity_pct: %RH.
    """

    temperature_c: float = 0.02
    humidity_pct: float = 0.05


@dataclass(frozen=True, slots=True)
class Placed:
    """One sensor: its role and its columns."""

    sensor_id: str
    series: tuple[Series, ...]

    @property
    def qualities(self) -> tuple[tuple[Quality, tuple[Flag, ...]], ...]:
        """All is good with a reading of it."""
        return ((Quality.GOOD, ()),) * len(self.series)


@dataclass(frozen=True, slots=True)
class Layout:
    """Eight signals on some sensors.

    Attributes:
        name: For the printed table.
        sensors: In the order in which they are read.
    """

    name: str
    sensors: tuple[Placed, ...]

    @property
    def signals_total(self) -> int:
        """Readings that one tick makes."""
        return sum(len(s.series) for s in self.sensors)


@dataclass(frozen=True, slots=True)
class Tick:
    """All sensors once: per sensor the offset in the stream, ms, and what its chip answers."""

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
    """Slow air: a wave of the heating and a random walk, scaled to the quantity."""

    mean: float
    swing: float
    period_s: float
    step: float
    walked: float = 0.0

    def at(self, second: int, source: random.Random) -> float:
        self.walked += source.gauss(0.0, self.step)
        return self.mean + self.walked + self.swing * math.sin(math.tau * second / self.period_s)


def ticks(layout: Layout, noise: Noise, seed: int) -> Iterator[Tick]:
    """Yields one tick a second without end, the same for the same seed."""
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
