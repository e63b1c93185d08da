"""Simulates an SCD4x: measures every 5 s by itself, returns a result once, adds a CRC per word."""

import math

from contract.quantities import Quantity
from firmware_bridge.crc import crc8
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings
from firmware_bridge.simulated.wires import nack

__all__ = ["SimulatedScd4x", "simulate"]

_START, _STOP, _READY, _FETCH, _SERIAL = 0x21B1, 0x3F86, 0xE4B8, 0xEC05, 0x3682
_SET_ALTITUDE, _SET_SELF_CALIBRATION = 0x2427, 0x2416
_WHILE_MEASURING = {_STOP, _READY, _FETCH}
_SETTINGS = {_SET_ALTITUDE, _SET_SELF_CALIBRATION}
_SERIAL_WORDS = (0xF896, 0x9F07, 0x3BBE)
_READY_WORD, _EMPTY_WORD = 0x8006, 0x8000
_PERIOD_S, _STOP_S = 5.0, 0.5
_SLOW_FACTOR = 1.5


def simulate(_config: object, around: Surroundings) -> "SimulatedScd4x":
    """Return the simulated chip for this driver."""
    return SimulatedScd4x(around)


class SimulatedScd4x:
    """One chip."""

    def __init__(self, around: Surroundings) -> None:
        self.faults = Faults(
            {
                Fault.ABSENT,
                Fault.STUCK_BUSY,
                Fault.CHECK_FLIPPED,
                Fault.FLOATING,
                Fault.STUCK_LOW,
                Fault.SLOW,
            }
        )
        self.settings: dict[int, int] = {}  # by the command that sets the value
        self._around = around
        self._measures_since_s: float | None = None
        self._results_total = 0
        self._fresh = False
        self._answer: tuple[int, ...] | None = None
        self._busy_until_s = -math.inf

    def lose_power(self) -> None:
        """Reset the chip as after a brown-out: idle, without a result."""
        self._measures_since_s = None
        self._fresh = False
        self._answer = None
        self.settings.clear()

    def write(self, data: bytes) -> None:
        """Execute a command of two bytes, with an optional word and its CRC."""
        if self.faults.refuses() or self._now_s() < self._busy_until_s:
            raise nack()
        self._measure()
        command = int.from_bytes(data[:2], "big")
        if self._measures_since_s is not None and command not in _WHILE_MEASURING:
            raise nack()
        self._answer = None
        if command in _SETTINGS:
            self._set(command, data[2:])
        else:
            self._obey(command)

    def read(self, count: int) -> bytes:
        """Return the answer to the last command, once."""
        if self.faults.refuses() or self._answer is None:
            raise nack()
        frame, self._answer = _framed(self._answer), None
        if self.faults.shows(Fault.FLOATING):
            return b"\xff" * count
        if self.faults.shows(Fault.STUCK_LOW):
            return b"\x00" * count
        if self.faults.shows(Fault.CHECK_FLIPPED):
            frame = frame[:-1] + bytes((frame[-1] ^ 0x10,))
        return frame[:count]

    def _obey(self, command: int) -> None:
        if command == _START:
            self._measures_since_s, self._results_total = self._now_s(), 0
        elif command == _STOP:
            self._measures_since_s, self._fresh = None, False
            self._busy_until_s = self._now_s() + _STOP_S
        elif command == _SERIAL:
            self._answer = _SERIAL_WORDS
        elif command == _READY:
            self._answer = (_READY_WORD if self._fresh else _EMPTY_WORD,)
        elif command == _FETCH:
            self._answer = self._result()
        else:
            raise nack()

    def _set(self, command: int, argument: bytes) -> None:
        if len(argument) != 3 or crc8(argument[:2]) != argument[2]:
            raise nack()
        self.settings[command] = int.from_bytes(argument[:2], "big")

    def _measure(self) -> None:
        """Update the number of results to the current time."""
        if self._measures_since_s is None or self.faults.shows(Fault.STUCK_BUSY):
            return
        period_s = _PERIOD_S * (_SLOW_FACTOR if self.faults.shows(Fault.SLOW) else 1.0)
        results_total = int((self._now_s() - self._measures_since_s) / period_s)
        if results_total > self._results_total:
            self.faults.begin_measurement()
            self._fresh = not self.faults.shows(Fault.STUCK_BUSY)
        self._results_total = results_total

    def _result(self) -> tuple[int, ...] | None:
        """Return the words of the latest result, or None if it was fetched already."""
        now = self._around.now()
        co2_ppm, humidity_pct = now.value(Quantity.CO2), now.value(Quantity.HUMIDITY)
        temperature_c = now.value(Quantity.TEMPERATURE)
        if not self._fresh or co2_ppm is None or temperature_c is None or humidity_pct is None:
            return None
        self._fresh = False
        words = (
            round(co2_ppm),
            round((temperature_c + 45) * 65535 / 175),
            # Rounded down, so that saturated air does not read above 100 %.
            math.floor(humidity_pct * 65535 / 100),
        )
        return tuple(min(0xFFFF, max(0, word)) for word in words)

    def _now_s(self) -> float:
        return self._around.clock.monotonic_s()


def _framed(words: tuple[int, ...]) -> bytes:
    pairs = [word.to_bytes(2, "big") for word in words]
    return b"".join(pair + bytes((crc8(pair),)) for pair in pairs)
