"""Defines the hardware as drivers see it: protocols, and the values that they pass.

This module has no implementation. Real hardware is in `linux.py`, simulated hardware in
`simulated/`; a driver sees no difference. A transaction raises BusError, a chip SensorError. A
missing library or a wrong configuration is a ConfigError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from contract.quantities import Flag, Quantity

__all__ = [
    "Board",
    "Chip",
    "Clock",
    "I2cBus",
    "InputPin",
    "OutputPin",
    "Pull",
    "PulseLine",
    "Sample",
]


class Clock(Protocol):
    """The clock of a driver. A driver waits only through its clock."""

    def monotonic_s(self) -> float:
        """Return seconds since an unknown time; they never go back."""

    def sleep_s(self, seconds: float) -> None:
        """Return when at least `seconds` have passed on this clock."""


class I2cBus(Protocol):
    """One I2C bus, used by one thread. Every method is one transaction and may raise BusError."""

    def write(self, address: int, data: bytes) -> None:
        """Send `data` to the chip at the 7-bit `address`."""

    def read(self, address: int, count: int) -> bytes:
        """Read exactly `count` bytes from the chip."""

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        """Send `data`, then read `count` bytes after a repeated start."""


class PulseLine(Protocol):
    """One GPIO with a single-wire sensor of the DHT family."""

    def capture(self, start_low_s: float) -> Sequence[int]:
        """Pull the line low for `start_low_s`, release it, and time the answer.

        Returns:
            Microseconds between edges, alternately low and high. The first value is the low time
            of the first data bit. A complete answer has 81 values, fewer if edges were missed. No
            answer gives an empty sequence.

        Raises:
            BusError: the pin could not be used.
        """


class Pull(StrEnum):
    """The level to which a pin's own resistor pulls an input that nothing drives."""

    UP = "up"
    DOWN = "down"
    NONE = "none"  # an external resistor pulls the input


class InputPin(Protocol):
    """One GPIO that is driven from outside, such as by a door contact."""

    def is_high(self) -> bool:
        """Return whether the pin is high now; may raise BusError."""


class OutputPin(Protocol):
    """One GPIO that drives a lamp, relay or buzzer. It is off at first and after `close`."""

    def set(self, on: bool) -> None:
        """Drive the pin high (true) or low; may raise BusError."""

    def close(self) -> None:
        """Switch off and release the pin. A second call does nothing."""


class Board(Protocol):
    """A machine with buses and pins (BCM numbers). A second call returns the same bus or pin."""

    def i2c(self, bus: int) -> I2cBus:
        """Return the I2C bus of this number; the first transaction opens it."""

    def pulse_line(self, pin: int) -> PulseLine:
        """Return the single-wire line at this pin."""

    def input(self, pin: int, pull: Pull) -> InputPin:
        """Return this pin as an input; the first `is_high` sets it up.

        Raises:
            BusError: the pin is in use as an output, or with another resistor.
        """

    def output(self, pin: int) -> OutputPin:
        """Return this pin as an output, off."""

    def close(self) -> None:
        """Release all buses and pins. A second call does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Values that a chip measured at one time.

    Attributes:
        values: One finite number for each configured quantity, in its canonical unit, neither
            clamped nor rounded.
        flags: Flags of all values: empty, or `retried`.
    """

    values: tuple[tuple[Quantity, float], ...]
    flags: frozenset[Flag]


class Chip(Protocol):
    """An opened sensor."""

    def read(self) -> Sample:
        """Measure now; raises SensorUnavailable or SensorFault if there is no value."""

    def close(self) -> None:
        """Stop using the chip; its bus stays open. A second call does nothing."""
