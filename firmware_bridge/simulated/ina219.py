"""Simulates an INA219's registers: configuration, triggered measurement, bus voltage, flags."""

import math

from contract.quantities import Quantity
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings
from firmware_bridge.simulated.wires import nack

__all__ = ["SimulatedIna219", "simulate"]

_CONFIGURATION, _BUS_VOLTAGE, _CALIBRATION = 0x00, 0x02, 0x05
_AFTER_RESET, _INA226_AFTER_RESET = 0x399F, 0x4127
_READY = 0x02
_CONVERSION_S = 0.000532  # typical, of 12 bits
_SLOW_FACTOR = 3.0


def simulate(_config: object, around: Surroundings) -> "SimulatedIna219":
    """Return the simulated chip for this driver."""
    return SimulatedIna219(around)


class SimulatedIna219:
    """One chip."""

    def __init__(self, around: Surroundings) -> None:
        self.faults = Faults(
            {
                Fault.ABSENT,
                Fault.STUCK_BUSY,
                Fault.FLOATING,
                Fault.STUCK_LOW,
                Fault.SLOW,
                Fault.WRONG_ID,
            }
        )
        self._around = around
        self._pointer = 0
        self._registers = {_CONFIGURATION: _AFTER_RESET}
        self._pending = 0
        self._ready_at_s = math.inf

    def write(self, data: bytes) -> None:
        """Take a register number, alone or followed by a word."""
        if self.faults.refuses():
            raise nack()
        self._pointer = data[0]
        if len(data) != 3:
            return
        value = int.from_bytes(data[1:], "big")
        if self._pointer != _CONFIGURATION:
            self._registers[self._pointer] = value
        elif value & 0x8000:
            self.faults.end_measurement()
            wrong = self.faults.shows(Fault.WRONG_ID)
            self._registers = {_CONFIGURATION: _INA226_AFTER_RESET if wrong else _AFTER_RESET}
            self._ready_at_s = math.inf
        else:
            self._registers[_CONFIGURATION] = value
            self._begin(value)

    def read(self, count: int) -> bytes:
        """Return the register of the last written number."""
        if self.faults.refuses():
            raise nack()
        if self.faults.shows(Fault.FLOATING):
            return b"\xff" * count
        if self.faults.shows(Fault.STUCK_LOW):
            return b"\x00" * count
        self._settle()
        return self._registers.get(self._pointer, 0).to_bytes(2, "big")[:count]

    def _begin(self, configuration: int) -> None:
        if configuration & 0b111 != 0b010:  # anything but one measurement of the bus voltage
            return
        self.faults.begin_measurement()
        voltage_v = self._around.now().value(Quantity.VOLTAGE)
        if voltage_v is None:
            raise nack()
        full = 8000 if configuration & 0x2000 else 4000
        self._pending = min(full, max(0, round(voltage_v / 0.004)))
        self._registers[_BUS_VOLTAGE] = self._registers.get(_BUS_VOLTAGE, 0) & ~_READY
        averaging = configuration >> 7 & 0b1111
        conversions = 1 << (averaging & 0b111) if averaging & 0b1000 else 1
        slow = _SLOW_FACTOR if self.faults.shows(Fault.SLOW) else 1.0
        self._ready_at_s = self._around.clock.monotonic_s() + conversions * _CONVERSION_S * slow

    def _settle(self) -> None:
        if self.faults.shows(Fault.STUCK_BUSY):
            return
        if self._around.clock.monotonic_s() >= self._ready_at_s:
            self._registers[_BUS_VOLTAGE] = self._pending << 3 | _READY
            self._ready_at_s = math.inf
