"""Simulates a BME280's registers: id, calibration, forced mode, status, data (chapter 5)."""

import math

from contract.quantities import Quantity
from firmware_bridge.chips.bme280 import Calibration
from firmware_bridge.simulated.bme280_inverse import (
    TYPICAL,
    RawWords,
    calibration_bytes,
    raw_words,
)
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings, TrueValues
from firmware_bridge.simulated.wires import nack

__all__ = ["SimulatedBme280", "simulate"]

_ID, _RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF7
_TIMES = (0, 1, 2, 4, 8, 16, 16, 16)  # register code -> oversampling (5.4.3)
_COPYING_S = 0.0015  # calibration into the registers after a reset
_SLOW_FACTOR = 4.0


def simulate(_config: object, around: Surroundings) -> "SimulatedBme280":
    """Return the simulated chip for this driver."""
    return SimulatedBme280(around)


class SimulatedBme280:
    """One chip. Its resolution is 16 bits, one more per doubling of oversampling (3.4)."""

    def __init__(self, around: Surroundings, calibration: Calibration = TYPICAL) -> None:
        self.faults = Faults(set(Fault) - {Fault.CHECK_FLIPPED, Fault.MISSING_EDGE, Fault.UNSTEADY})
        self._around = around
        self._calibration = calibration
        self._pointer = 0
        self._registers = bytearray(256)
        self._fill_after_reset()

    def write(self, data: bytes) -> None:
        """Take a register number, alone or followed by its value and further pairs."""
        if self.faults.refuses():
            raise nack()
        self._pointer = data[0]
        # A passing fault spoils its measurement's status and data, nothing else.
        if self._pointer not in (_STATUS, _DATA):
            self.faults.end_measurement()
        for register, value in zip(data[::2], data[1::2], strict=False):
            self._set(register, value)

    def read(self, count: int) -> bytes:
        """Return registers from the last written number on."""
        if self.faults.refuses():
            raise nack()
        if self.faults.shows(Fault.FLOATING):
            return b"\xff" * count
        if self.faults.shows(Fault.STUCK_LOW):
            return b"\x00" * count
        self._settle()
        return bytes(self._registers[self._pointer : self._pointer + count])

    def _set(self, register: int, value: int) -> None:
        if register == _RESET and value == 0xB6:
            self._fill_after_reset()
        elif register == _CTRL_HUM:
            self._registers[_CTRL_HUM] = value & 0b111
        elif register == _CTRL_MEAS:
            self._registers[_CTRL_MEAS] = value
            if value & 0b11 in (0b01, 0b10):
                self._begin_measurement(value)

    def _fill_after_reset(self) -> None:
        self._registers[:] = bytes(256)
        low, high = calibration_bytes(self._calibration)
        self._registers[0x88:0xA2] = low
        self._registers[0xE1:0xE8] = high
        self._store(RawWords())
        self._pending: RawWords | None = None
        self._busy_bit = 0x01
        self._busy_until_s = self._around.clock.monotonic_s() + _COPYING_S

    def _begin_measurement(self, ctrl_meas: int) -> None:
        self.faults.begin_measurement()
        t, p = _TIMES[ctrl_meas >> 5], _TIMES[ctrl_meas >> 2 & 0b111]
        h = _TIMES[self._registers[_CTRL_HUM]]
        self._pending = self._converted(self._around.now(), t, p, h)
        # The typical time (9.1); the driver must wait for the longest.
        typical_s = (1 + 2 * (t + p + h) + 0.5 * (p > 0) + 0.5 * (h > 0)) / 1000
        if self.faults.shows(Fault.SLOW):
            typical_s *= _SLOW_FACTOR
        self._busy_bit = 0x08
        self._busy_until_s = self._around.clock.monotonic_s() + typical_s

    def _converted(self, now: TrueValues, t: int, p: int, h: int) -> RawWords:
        temperature_c = now.value(Quantity.TEMPERATURE)
        if temperature_c is None:
            raise nack()
        pressure_pa = now.value(Quantity.PRESSURE) if p else None
        humidity_pct = now.value(Quantity.HUMIDITY) if h else None
        if (p and pressure_pa is None) or (h and humidity_pct is None):
            raise nack()
        if not t:
            return RawWords()
        bits = 16 + int(math.log2(t))
        return raw_words(self._calibration, temperature_c, pressure_pa, humidity_pct, bits)

    def _settle(self) -> None:
        """Update identification, status and data to the current time."""
        self._registers[_ID] = 0x58 if self.faults.shows(Fault.WRONG_ID) else 0x60
        busy = self._around.clock.monotonic_s() < self._busy_until_s
        if busy or self.faults.shows(Fault.STUCK_BUSY):
            self._registers[_STATUS] = self._busy_bit
            return
        self._registers[_STATUS] = 0
        if self._pending is not None:
            self._store(self._pending)
            self._pending = None
            self._registers[_CTRL_MEAS] &= 0b11111100  # after forced mode the chip sleeps

    def _store(self, words: RawWords) -> None:
        for at, word in ((_DATA, words.pressure), (_DATA + 3, words.temperature)):
            self._registers[at : at + 3] = (word << 4).to_bytes(3, "big")
        self._registers[_DATA + 6 : _DATA + 8] = words.humidity.to_bytes(2, "big")
