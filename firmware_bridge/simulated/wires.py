"""Implements the wires of a simulated board, which connect chips to buses, lines and pins.

Simulated chips report failures like the kernel of a Raspberry Pi: by an OSError with the same
number. So the same chips work on the simulated bus and on a `LinuxBoard` with an injected bus.
"""

import errno
import os
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from firmware_bridge.board import Pull
from firmware_bridge.errors import os_bus_error
from firmware_bridge.simulated.faults import Faults

__all__ = [
    "I2cWire",
    "OpenInput",
    "SilentLine",
    "SimulatedBus",
    "SimulatedChip",
    "SimulatedI2cChip",
    "SimulatedOutput",
    "SimulatedPulseChip",
    "SimulatedSwitch",
    "nack",
]


def nack() -> OSError:
    """Return the error of a Raspberry Pi's kernel if no chip acknowledges."""
    return OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))


class SimulatedChip(Protocol):
    """A chip or contact that can be attached to the board."""

    @property
    def faults(self) -> Faults:
        """Return the faults that it shows."""


@runtime_checkable
class SimulatedI2cChip(Protocol):
    """A chip on a wire; both methods raise `nack()` when it does not acknowledge."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one write."""

    def read(self, count: int) -> bytes:
        """Return `count` bytes."""


@runtime_checkable
class SimulatedPulseChip(Protocol):
    """A chip on a single-wire line; a `PulseLine`."""

    def capture(self, start_low_s: float) -> Sequence[int]:
        """Return the pulses of an answer."""


@runtime_checkable
class SimulatedSwitch(Protocol):
    """Something that drives an input; an `InputPin`."""

    def is_high(self) -> bool:
        """Return whether the level is high."""


class I2cWire:
    """One I2C bus and its chips, by address."""

    def __init__(self) -> None:
        self.chips: dict[int, SimulatedI2cChip] = {}

    def write(self, address: int, data: bytes) -> None:
        """Deliver `data`; raises OSError as the kernel would."""
        self._chip(address).write(data)

    def read(self, address: int, count: int) -> bytes:
        """Fetch `count` bytes; raises OSError as the kernel would."""
        return self._chip(address).read(count)

    def _chip(self, address: int) -> SimulatedI2cChip:
        if address not in self.chips:
            raise nack()
        return self.chips[address]


class SimulatedBus:
    """`I2cBus` over a wire."""

    def __init__(self, number: int, wire: I2cWire) -> None:
        self._number = number
        self._wire = wire

    def write(self, address: int, data: bytes) -> None:
        """Send `data` to the chip at `address`."""
        try:
            self._wire.write(address, data)
        except OSError as error:
            raise os_bus_error(f"i2c-{self._number} address {address:#04x}", error) from error

    def read(self, address: int, count: int) -> bytes:
        """Read exactly `count` bytes from the chip."""
        try:
            return self._wire.read(address, count)
        except OSError as error:
            raise os_bus_error(f"i2c-{self._number} address {address:#04x}", error) from error

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        """Send `data`, then read `count` bytes."""
        self.write(address, data)
        return self.read(address, count)


class SilentLine:
    """`PulseLine` with nothing at the other end."""

    def capture(self, start_low_s: float) -> Sequence[int]:  # noqa: ARG002 - the protocol's name
        """Return no pulses."""
        return ()


class OpenInput:
    """`InputPin` without a connection: its resistor sets the level."""

    def __init__(self, pull: Pull) -> None:
        self._pull = pull

    def is_high(self) -> bool:
        """Return the level to which the resistor pulls; low without one."""
        return self._pull is Pull.UP


class SimulatedOutput:
    """`OutputPin` that remembers its level."""

    def __init__(self) -> None:
        self.is_on = False
        self.changes_total = 0

    def set(self, on: bool) -> None:
        """Store the level."""
        self.changes_total += on != self.is_on
        self.is_on = on

    def close(self) -> None:
        """Switch off."""
        self.set(False)
