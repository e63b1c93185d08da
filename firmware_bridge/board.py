"""What a driver may see of the hardware: protocols, and the two values that cross them.

Owns no implementation. Real hardware is in `linux.py`, simulated hardware in `simulated/`; a
driver cannot tell them apart. A transaction raises BusError, a chip SensorError; what somebody must
first configure or install is a ConfigError.
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
    """Time as a driver knows it. Waiting happens here and nowhere else."""

    def monotonic_s(self) -> float:
        """Seconds since an unknown instant; never goes back."""

    def sleep_s(self, seconds: float) -> None:
        """Return when at least `seconds` have passed on this clock."""


class I2cBus(Protocol):
    """One I2C bus, used by one thread. Every method is one transaction and may raise BusError."""

    def write(self, address: int, data: bytes) -> None:
        """Send `data` to the chip at the 7-bit `address`."""

    def read(self, address: int, count: int) -> bytes:
        """Exactly `count` bytes from the chip."""

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        """Send `data`, then read `count` bytes after a repeated start."""


class PulseLine(Protocol):
    """One GPIO with a single-wire sensor of the DHT family."""

    def capture(self, start_low_s: float) -> Sequence[int]:
        """Pull the line low for `start_low_s`, release it, and time the answer.

        Returns:
            Microseconds between edges, low and high by turns, beginning with the low time of the
            first data bit: 81 for a whole answer, fewer when edges were missed, none for silence.

        Raises:
            BusError: the pin could not be used.
        """


class Pull(StrEnum):
    """Where a pin's own resistor pulls an input that nothing drives."""

    UP = "up"
    DOWN = "down"
    NONE = "none"  # a resistor outside does it


class InputPin(Protocol):
    """One GPIO that is driven from outside, such as by a door contact."""

    def is_high(self) -> bool:
        """Whether the pin is high now; may raise BusError."""


class OutputPin(Protocol):
    """One GPIO that drives a lamp, relay or buzzer. Off when made, off when closed."""

    def set(self, on: bool) -> None:
        """Drive the pin high (true) or low; may raise BusError."""

    def close(self) -> None:
        """Switch off and give the pin back. A second call does nothing."""


class Board(Protocol):
    """A machine with buses and pins (BCM numbers). Asking twice gives the same bus or pin."""

    def i2c(self, bus: int) -> I2cBus:
        """The I2C bus of this number; it is first touched by its first transaction."""

    def pulse_line(self, pin: int) -> PulseLine:
        """The single-wire line at this pin."""

    def input(self, pin: int, pull: Pull) -> InputPin:
        """This pin as an input; it is first touched when its level is asked for.

        Raises:
            BusError: the pin is in use as an output, or with another resistor.
        """

    def output(self, pin: int) -> OutputPin:
        """This pin as an output, off."""

    def close(self) -> None:
        """Release everything that was handed out. A second call does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a chip measured at one instant.

    Attributes:
        values: One finite number for each configured quantity, in its canonical unit, as
            computed: neither clamped nor rounded.
        flags: Remarks that hold for all of them: empty, or `retried`.
    """

    values: tuple[tuple[Quantity, float], ...]
    flags: frozenset[Flag]


class Chip(Protocol):
    """An opened sensor."""

    def read(self) -> Sample:
        """Measure now; raises SensorUnavailable or SensorFault when there is no value."""

    def close(self) -> None:
        """Stop using the chip; its bus stays open. A second call does nothing."""
