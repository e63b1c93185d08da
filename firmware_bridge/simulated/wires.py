"""The wires of a simulated board: which simulated chip a transaction or a level reaches.

Chips here answer as a kernel would report it, by OSError with the number that a Raspberry Pi
gives; so the same chips stand behind the simulated bus and behind `LinuxBoard` with an injected
bus.
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
    """What a Raspberry Pi's kernel reports when nothing acknowledges."""
    return OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))


class SimulatedChip(Protocol):
    """Anything that can be plugged into the board."""

    @property
    def faults(self) -> Faults:
        """What is wrong with it."""


@runtime_checkable
class SimulatedI2cChip(Protocol):
    """A chip on a wire; both methods raise `nack()` when it does not acknowledge."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one write."""

    def read(self, count: int) -> bytes:
        """Give `count` bytes."""


@runtime_checkable
class SimulatedPulseChip(Protocol):
    """A chip on a single-wire line; a `PulseLine`."""

    def capture(self, start_low_s: float) -> Sequence[int]:
        """Give the pulses of an answer."""


@runtime_checkable
class SimulatedSwitch(Protocol):
    """Something that drives an input; an `InputPin`."""

    def is_high(self) -> bool:
        """Give the level."""


class I2cWire:
    """One I2C bus and what is soldered to it, by address."""

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
        """Exactly `count` bytes from the chip."""
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
        """No pulses."""
        return ()


class OpenInput:
    """`InputPin` with nothing connected: its resistor decides."""

    def __init__(self, pull: Pull) -> None:
        self._pull = pull

    def is_high(self) -> bool:
        """Where the resistor pulls; low without one."""
        return self._pull is Pull.UP


class SimulatedOutput:
    """`OutputPin` that remembers its level."""

    def __init__(self) -> None:
        self.is_on = False
        self.changes_total = 0

    def set(self, on: bool) -> None:
        """Take the level."""
        self.changes_total += on != self.is_on
        self.is_on = on

    def close(self) -> None:
        """Switch off."""
        self.set(False)
