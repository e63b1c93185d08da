"""Simulates an SHT4x: one-byte commands, no answer during a measurement, a CRC after each word."""

import math

from contract.quantities import Quantity
from firmware_bridge.crc import crc8
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings
from firmware_bridge.simulated.wires import nack

__all__ = ["SimulatedSht4x", "simulate"]

_SERIAL, _RESET = 0x89, 0x94
_MEASURE_S = {0xFD: 0.0069, 0xF6: 0.0037, 0xE0: 0.0013}  # typical times
_SERIAL_WORDS = (0x0EC3, 0x51A7)
_SHORT_S = 0.0008
_SLOW_FACTOR = 3.0


def simulate(_config: object, around: Surroundings) -> "SimulatedSht4x":
    """Return the simulated chip for this driver."""
    return SimulatedSht4x(around)


class SimulatedSht4x:
    """One chip."""

    def __init__(self, around: Surroundings) -> None:
        self.faults = Faults(set(Fault) - {Fault.WRONG_ID, Fault.MISSING_EDGE, Fault.UNSTEADY})
        self._around = around
        self._frame: bytes | None = None
        self._busy_until_s = -math.inf

    def write(self, data: bytes) -> None:
        """Execute a command."""
        command = data[0]
        if self.faults.refuses() or (self._busy() and command != _RESET):
            raise nack()
        self.faults.end_measurement()
        self._frame = None
        if command in _MEASURE_S:
            self._measure(_MEASURE_S[command])
        elif command == _SERIAL:
            self._frame = _framed(*_SERIAL_WORDS)
            self._busy_for(_SHORT_S)
        elif command == _RESET:
            self._busy_for(_SHORT_S)
        else:
            raise nack()

    def read(self, count: int) -> bytes:
        """Return the answer to the last command, once."""
        if self.faults.refuses() or self._busy() or self._frame is None:
            raise nack()
        frame, self._frame = self._frame, None
        if self.faults.shows(Fault.FLOATING):
            return b"\xff" * count
        if self.faults.shows(Fault.STUCK_LOW):
            return b"\x00" * count
        if self.faults.shows(Fault.CHECK_FLIPPED):
            frame = frame[:5] + bytes((frame[5] ^ 0x10,))
        return frame[:count]

    def _measure(self, typical_s: float) -> None:
        self.faults.begin_measurement()
        now = self._around.now()
        temperature_c, humidity_pct = now.value(Quantity.TEMPERATURE), now.value(Quantity.HUMIDITY)
        if temperature_c is None or humidity_pct is None:
            raise nack()
        temperature = round((temperature_c + 45) * 65535 / 175)
        # Rounded down, so that saturated air does not read above 100 %.
        humidity = math.floor((humidity_pct + 6) * 65535 / 125)
        self._frame = _framed(_within_word(temperature), _within_word(humidity))
        self._busy_for(typical_s * (_SLOW_FACTOR if self.faults.shows(Fault.SLOW) else 1.0))

    def _busy_for(self, seconds: float) -> None:
        self._busy_until_s = self._around.clock.monotonic_s() + seconds

    def _busy(self) -> bool:
        if self.faults.shows(Fault.STUCK_BUSY):
            return True
        return self._around.clock.monotonic_s() < self._busy_until_s


def _within_word(value: int) -> int:
    return min(0xFFFF, max(0, value))


def _framed(first: int, second: int) -> bytes:
    words = (first.to_bytes(2, "big"), second.to_bytes(2, "big"))
    return b"".join(word + bytes((crc8(word),)) for word in words)
