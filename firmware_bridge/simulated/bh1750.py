"""Simulates a BH1750: one-byte commands, and a data register that can be read at any time."""

import math

from contract.quantities import Quantity
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings
from firmware_bridge.simulated.wires import nack

__all__ = ["SimulatedBh1750", "simulate"]

_POWER_DOWN, _POWER_ON, _RESET, _ONE_TIME_HIGH = 0x00, 0x01, 0x07, 0x20
_USUAL_TIME = 69
_TYPICAL_S = 0.12
_SLOW_FACTOR = 2.5


def simulate(_config: object, around: Surroundings) -> "SimulatedBh1750":
    """Return the simulated chip for this driver."""
    return SimulatedBh1750(around)


class SimulatedBh1750:
    """One chip. It has no checksum; a bus stuck low looks like darkness."""

    def __init__(self, around: Surroundings) -> None:
        self.faults = Faults({Fault.ABSENT, Fault.FLOATING, Fault.SLOW})
        self._around = around
        self._is_on = False
        self._time = _USUAL_TIME
        self._register = 0
        self._pending: int | None = None
        self._ready_at_s = -math.inf

    def write(self, data: bytes) -> None:
        """Execute a command."""
        if self.faults.refuses():
            raise nack()
        self._settle()
        command = data[0]
        if command in (_POWER_DOWN, _POWER_ON):
            self._is_on = command == _POWER_ON
        elif command == _RESET:
            self._register = 0 if self._is_on else self._register
        elif command >> 3 == 0b01000:
            self._time = (command & 0b111) << 5 | self._time & 0b11111
        elif command >> 5 == 0b011:
            self._time = self._time & 0b11100000 | command & 0b11111
        elif command == _ONE_TIME_HIGH:
            self._begin()
        else:
            raise nack()

    def read(self, count: int) -> bytes:
        """Return the data register, which contains the latest finished measurement."""
        if self.faults.refuses():
            raise nack()
        self._settle()
        if self.faults.shows(Fault.FLOATING):
            return b"\xff" * count
        return self._register.to_bytes(2, "big")[:count]

    def _begin(self) -> None:
        if self._time == _USUAL_TIME:  # another measurement time repeats the same measurement
            self.faults.begin_measurement()
        illuminance_lx = self._around.now().value(Quantity.ILLUMINANCE)
        if illuminance_lx is None:
            raise nack()
        counts = round(illuminance_lx * 1.2 * self._time / _USUAL_TIME)
        self._pending = min(0xFFFF, max(0, counts))
        slow = _SLOW_FACTOR if self.faults.shows(Fault.SLOW) else 1.0
        typical_s = _TYPICAL_S * self._time / _USUAL_TIME
        self._ready_at_s = self._around.clock.monotonic_s() + typical_s * slow

    def _settle(self) -> None:
        if self._pending is not None and self._around.clock.monotonic_s() >= self._ready_at_s:
            self._register, self._pending = self._pending, None
            self._is_on = False
