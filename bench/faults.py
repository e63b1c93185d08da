"""Puts faults of a kind into a recording, at random places and with a given seed.

The sizes are those of faults that matter: a forecast or a truth is wrong with them. Each fault is
an event with a begin and an end, so that recall can be counted by event.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.quality.spans import Fault
from contract.quantities import Quantity
from contract.signals import Signal
from models.replay import Readings

__all__ = ["FAULTS", "SIZES", "Event", "Sizes", "with_fault"]

Floats = NDArray[np.float64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of faults of one quantity, in its unit.

    Attributes:
        spike: Height of a spike.
        jump: Change of level at once.
        noise: Standard deviation of added noise.
        offset: Constant error, for days.
        drift: Growth of the error per day.
    """

    spike: float
    jump: float
    noise: float
    offset: float
    drift: float


SIZES = {
    Quantity.TEMPERATURE: Sizes(spike=15.0, jump=12.0, noise=3.0, offset=8.0, drift=0.04),
    Quantity.HUMIDITY: Sizes(spike=40.0, jump=35.0, noise=15.0, offset=25.0, drift=0.1),
    Quantity.PRESSURE: Sizes(spike=1500.0, jump=1000.0, noise=200.0, offset=1000.0, drift=5.0),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One fault of one signal; instants in ms since 1970 UTC, both ends included."""

    signal: Signal
    begin_ms: int
    end_ms: int


Change = Callable[[Floats, Floats, Sizes, np.random.Generator], Floats]


def _stuck(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    del days, sizes, draw
    return np.full(len(values), values[0])


def _spike(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    del days
    return values + _sign(draw) * sizes.spike


def _jump(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    del days
    return values + _sign(draw) * sizes.jump


def _noise(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    del days
    return values + draw.normal(0, sizes.noise, len(values))


def _offset(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    del days
    return values + _sign(draw) * sizes.offset


def _drift(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    return values + _sign(draw) * sizes.drift * days


def _zero(values: Floats, days: Floats, sizes: Sizes, draw: np.random.Generator) -> Floats:
    del days, sizes, draw
    return np.full(len(values), np.nan)  # replaced for both signals of the sensor, see below


def _sign(draw: np.random.Generator) -> float:
    return float(draw.choice((-1.0, 1.0)))


# For each kind: how it changes values, how long one event lasts (ms), and how many there are in a
# year of one signal.
FAULTS: dict[Fault, tuple[Change, int, int]] = {
    Fault.STUCK: (_stuck, 48 * HOUR_MS, 6),
    Fault.SPIKE: (_spike, 0, 12),
    Fault.JUMP: (_jump, 3 * DAY_MS, 6),
    Fault.NOISE: (_noise, 7 * DAY_MS, 4),
    Fault.IMPLAUSIBLE: (_zero, 3 * HOUR_MS, 6),
    Fault.DISAGREES: (_offset, 5 * DAY_MS, 4),
    Fault.DRIFT: (_drift, 120 * DAY_MS, 1),
}
_ALL_ZERO = {Quantity.TEMPERATURE: -40.0, Quantity.HUMIDITY: 0.0}
_LEARNING_MS = 60 * DAY_MS  # no fault in the first two months: nothing is known about a signal yet


def with_fault(
    readings: Readings, signal: Signal, fault: Fault, draw: np.random.Generator
) -> tuple[Readings, list[Event]]:
    """Return the readings with faults of one kind in one signal, and the events.

    Args:
        readings: A recording of one device.
        signal: The signal; for an implausible pair the other signal of its sensor changes too.
        fault: Kind of the faults.
        draw: Source of places and sizes.
    """
    change, lasts_ms, count = FAULTS[fault]
    mine = np.flatnonzero(readings.are((signal,)) & ~np.isnan(readings.values))
    values, events = readings.values.copy(), []
    facts, at_ms = signal.quantity.facts, readings.at_ms
    for begin_ms in _begins(at_ms[mine], lasts_ms, count, draw):
        rows = mine[(at_ms[mine] >= begin_ms) & (at_ms[mine] <= begin_ms + lasts_ms)]
        if not lasts_ms:
            rows = mine[np.searchsorted(at_ms[mine], begin_ms)][np.newaxis]
        if fault is Fault.IMPLAUSIBLE:
            _set_zero(readings, values, signal, at_ms[rows])
        else:
            days = (at_ms[rows] - at_ms[rows[0]]) / DAY_MS
            changed = change(values[rows], days, SIZES[signal.quantity], draw)
            values[rows] = np.round(np.clip(changed, facts.low, facts.high), facts.decimals)
        events.append(Event(signal, int(at_ms[rows[0]]), int(at_ms[rows[-1]])))
    return Readings(readings.signals, readings.codes, at_ms, values), events


def _begins(
    at_ms: NDArray[np.int64], lasts_ms: int, count: int, draw: np.random.Generator
) -> list[int]:
    """Return begins of events, one in each of `count` equal parts of the time after learning."""
    first, last = int(at_ms[0]) + _LEARNING_MS, int(at_ms[-1])
    part = (last - first) // count
    room = part - lasts_ms - DAY_MS
    return [first + n * part + int(draw.integers(0, max(1, room))) for n in range(count)]


def _set_zero(
    readings: Readings, values: Floats, signal: Signal, instants: NDArray[np.int64]
) -> None:
    for quantity, zero in _ALL_ZERO.items():
        own = readings.are((Signal(signal.sensor_id, quantity),))
        values[own & np.isin(readings.at_ms, instants)] = zero
