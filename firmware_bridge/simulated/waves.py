"""Generates a day for simulated chips without a recording: a smooth wave for every quantity."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from contract.quantities import Quantity
from firmware_bridge.simulated.feeds import TrueValues

__all__ = ["WaveFeed"]

_DAY_S = 86_400.0
_MINUTE_S = 60.0
# Openings of a door: minute of the UTC day, and duration in minutes.
_OPENINGS_MIN = ((7 * 60, 4), (12 * 60 + 30, 10), (17 * 60 + 45, 6), (21 * 60 + 15, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFeed:
    """A day for trials: warmest, driest and brightest at 15:00 UTC; pressure in 5-day waves.

    Attributes:
        mean_c: Mean temperature, Cel.
        swing_c: Half the difference between warmest and coldest, Cel.
        mean_pct: Mean relative humidity, %; it varies by 15.
    """

    mean_c: float = 12.0
    swing_c: float = 5.0
    mean_pct: float = 65.0

    def at(self, now_s: float) -> TrueValues:
        """Return the generated values at `now_s`, UNIX seconds, one for each quantity."""
        warmth = _warmth(now_s)
        own = {
            Quantity.TEMPERATURE: self.mean_c + self.swing_c * warmth,
            Quantity.HUMIDITY: min(100.0, max(0.0, self.mean_pct - 15.0 * warmth)),
        }
        return TrueValues(
            {q: own[q] if q in own else _WAVES.get(q, _middle(q))(now_s) for q in Quantity}
        )


def _warmth(now_s: float) -> float:
    """Return the position between the day's coldest (-1) and warmest (1) hour."""
    return math.cos(2 * math.pi * (now_s / _DAY_S - 15 / 24))


def _pressure_pa(now_s: float) -> float:
    return 101_325.0 + 800.0 * math.sin(2 * math.pi * now_s / (5 * _DAY_S))


def _co2_ppm(now_s: float) -> float:
    """Return the CO2 of a room that people use by day and air at night."""
    return 800.0 + 350.0 * _warmth(now_s)


def _illuminance_lx(now_s: float) -> float:
    """Return the light of an overcast day, which is dark for twelve hours."""
    return max(0.0, 20_000.0 * _warmth(now_s))


def _voltage_v(now_s: float) -> float:
    """Return the voltage of a lead battery that the sun charges."""
    return 12.8 + 0.6 * _warmth(now_s)


def _contact(now_s: float) -> float:
    """Return the state of a door: 1 closed, 0 open."""
    minute = now_s % _DAY_S / _MINUTE_S
    is_open = any(begin <= minute < begin + length for begin, length in _OPENINGS_MIN)
    return 0.0 if is_open else 1.0


def _middle(quantity: Quantity) -> Callable[[float], float]:
    """Return the default wave of a quantity: around the middle of its plausible range."""
    facts = quantity.facts
    middle, swing = (facts.low + facts.high) / 2, (facts.high - facts.low) / 10
    return lambda now_s: middle + swing * _warmth(now_s)


_WAVES: dict[Quantity, Callable[[float], float]] = {
    Quantity.PRESSURE: _pressure_pa,
    Quantity.CO2: _co2_ppm,
    Quantity.ILLUMINANCE: _illuminance_lx,
    Quantity.VOLTAGE: _voltage_v,
    Quantity.CONTACT: _contact,
}
