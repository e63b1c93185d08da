"""Sensirion SHT40, SHT41, SHT45: temperature (Cel, ±0.2) and humidity (%RH, ±1.8) over I2C.

Wiring: 3.3 V, SDA, SCL. Address 0x44 (types ending AD1B), 0x45 (BD1B) or 0x46. An SHT3x, which has
address 0x44 too, has no one-byte commands and does not answer this driver.

Keys: `bus` (1), `address` (0x44), `quantities` (both), `precision` (`high`, `medium` or `low`).

Quirks, from the data sheet:
- During a measurement the chip does not acknowledge a read. So the driver waits the maximum time,
  then tries to read a few times. The chip never stretches the clock.
- Every two bytes have a CRC-8 (polynomial 0x31, start 0xFF).
- Humidity may be from -6 to 119 and is reported as computed. The accuracy of the SHT45 is ±1.0.

After any failure the driver resets the chip and reads its serial number before it uses the chip
again. The heater is never used.
"""

from dataclasses import dataclass
from enum import StrEnum

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, I2cBus, Sample
from firmware_bridge.crc import checked_words
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.settings import require_one_of, require_quantities, require_whole

__all__ = ["QUANTITIES", "Config", "Precision", "open"]

QUANTITIES = (Quantity.TEMPERATURE, Quantity.HUMIDITY)

_SERIAL, _RESET = 0x89, 0x94
_RESET_S = 0.001
_PAUSE_S = 0.01
_POLLS = 4


class Precision(StrEnum):
    """The measurement's precision: a higher one takes more time and power."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


# Command and longest time of the measurement, seconds.
_MEASURE = {
    Precision.HIGH: (0xFD, 0.0083),
    Precision.MEDIUM: (0xF6, 0.0045),
    Precision.LOW: (0xE0, 0.0016),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "sht4x"` sensor."""

    bus: int = 1
    address: int = 0x44
    quantities: tuple[Quantity, ...] = QUANTITIES
    precision: Precision = Precision.HIGH

    def __post_init__(self) -> None:
        require_whole("sht4x", "bus", self.bus, 0, 255)
        require_one_of("sht4x", "address", self.address, (0x44, 0x45, 0x46))
        require_quantities("sht4x", self.quantities, QUANTITIES)
        require_one_of("sht4x", "precision", self.precision, tuple(Precision))


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Reset the chip and read its serial number, which proves that the chip is there."""
    chip = _Sht4x(config, board.i2c(config.bus), clock)
    chip.start()
    return chip


def temperature_c(word: int) -> float:
    """Return the temperature, Cel (data sheet, conversion of signal output)."""
    return -45 + 175 * word / 65535


def humidity_pct(word: int) -> float:
    """Return the relative humidity, % (the SHT3x has another formula)."""
    return -6 + 125 * word / 65535


class _Sht4x:
    def __init__(self, config: Config, bus: I2cBus, clock: Clock) -> None:
        self._where = f"sht4x at i2c-{config.bus} {config.address:#04x}"
        self._address = config.address
        self._quantities = config.quantities
        self._bus = bus
        self._clock = clock
        self._attempts = Attempts(self._where, clock, _PAUSE_S)
        self._command, self._longest_s = _MEASURE[Precision(config.precision)]
        self._trusted = False

    def start(self) -> None:
        self._attempts.run(self._identify)
        self._trusted = True

    def read(self) -> Sample:
        values, flags = self._attempts.run(self._attempt)
        return Sample(values=values, flags=flags)

    def close(self) -> None:
        """Do nothing: after a measurement the chip is idle."""

    def _identify(self) -> None:
        self._bus.write(self._address, bytes((_RESET,)))
        self._clock.sleep_s(_RESET_S)
        self._exchange(_SERIAL, _RESET_S)

    def _attempt(self) -> tuple[tuple[Quantity, float], ...]:
        if not self._trusted:
            self._identify()
        # A failure below leaves this false, so that the next attempt resets the chip first.
        self._trusted = False
        temperature, humidity = self._exchange(self._command, self._longest_s)
        computed = {
            Quantity.TEMPERATURE: temperature_c(temperature),
            Quantity.HUMIDITY: humidity_pct(humidity),
        }
        self._trusted = True
        return tuple((quantity, computed[quantity]) for quantity in self._quantities)

    def _exchange(self, command: int, longest_s: float) -> tuple[int, int]:
        self._bus.write(self._address, bytes((command,)))
        frame = self._answer(longest_s)
        found = checked_words(frame)
        if found is None:
            text = f"{self._where}: checksum failed: {frame.hex(' ')}"
            raise SensorUnavailable(text, flag=Flag.CHECK_FAILED)
        first, second = found
        return first, second

    def _answer(self, longest_s: float) -> bytes:
        for _ in range(_POLLS - 1):
            self._clock.sleep_s(longest_s)
            try:
                return self._bus.read(self._address, 6)
            except BusError:
                continue  # without an acknowledge the chip is not ready; the last read raises
        self._clock.sleep_s(longest_s)
        return self._bus.read(self._address, 6)
