"""Rohm BH1750FVI: illuminance (lx, ±20 %) over I2C.

Wiring: 3.3 V, SDA, SCL; address 0x23 with ADDR at ground or open, 0x5C with ADDR at supply.

Keys: `bus` (1), `address` (0x23), `quantities` (illuminance).

A reading takes 0.18 s, in the dark 0.36 s, in sunlight 0.26 s.

Quirks, from the data sheet:
- The driver uses the one-time high-resolution mode. A measurement takes 120 ms as a rule, 180 ms at
  most; then the chip sleeps.
- The chip has no identification and no checksum, and it answers a read at any time. So the driver
  resets the data register before each measurement. It reads a 0 twice, one measurement time apart,
  because an unfinished measurement and darkness give the same value.
- The resolution is 0.83 lx, the end of the range 54,612 lx (raw 0xFFFF). At the end of the range
  the driver measures again with the shortest measurement time, up to 121,557 lx. If that is 0xFFFF
  too, the light is brighter or the bus floats, and the reading has no value.
- A bus stuck low reads as darkness; the driver cannot detect it.
"""

from dataclasses import dataclass

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, I2cBus, Sample
from firmware_bridge.errors import SensorUnavailable
from firmware_bridge.settings import require_one_of, require_quantities, require_whole

__all__ = ["QUANTITIES", "Config", "open"]

QUANTITIES = (Quantity.ILLUMINANCE,)

_POWER_ON, _RESET, _ONE_TIME_HIGH = 0x01, 0x07, 0x20
_SET_TIME_HIGH, _SET_TIME_LOW = 0x40, 0x60  # upper three and lower five bits of the register
_USUAL_TIME, _SHORTEST_TIME = 69, 31  # measurement time register
_LONGEST_S = 0.18  # with the usual time
_FULL = 0xFFFF
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "bh1750"` sensor."""

    bus: int = 1
    address: int = 0x23
    quantities: tuple[Quantity, ...] = QUANTITIES

    def __post_init__(self) -> None:
        require_whole("bh1750", "bus", self.bus, 0, 255)
        require_one_of("bh1750", "address", self.address, (0x23, 0x5C))
        require_quantities("bh1750", self.quantities, QUANTITIES)


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Switch the chip on, which proves that a chip answers at its address."""
    chip = _Bh1750(config, board.i2c(config.bus), clock)
    chip.start()
    return chip


def illuminance_lx(word: int, measurement_time: int) -> float:
    """Return the illuminance, lx (data sheet, adjustment of the measurement result)."""
    return word / 1.2 * _USUAL_TIME / measurement_time


class _Bh1750:
    def __init__(self, config: Config, bus: I2cBus, clock: Clock) -> None:
        self._where = f"bh1750 at i2c-{config.bus} {config.address:#04x}"
        self._address = config.address
        self._bus = bus
        self._clock = clock
        self._attempts = Attempts(self._where, clock, _PAUSE_S)

    def start(self) -> None:
        self._attempts.run(lambda: self._send(_POWER_ON))

    def read(self) -> Sample:
        value, flags = self._attempts.run(self._attempt)
        return Sample(values=((Quantity.ILLUMINANCE, value),), flags=flags)

    def close(self) -> None:
        """Do nothing: after a measurement the chip sleeps."""

    def _attempt(self) -> float:
        for measurement_time in (_USUAL_TIME, _SHORTEST_TIME):
            word = self._measure(measurement_time)
            if word != _FULL:
                return illuminance_lx(word, measurement_time)
        brightest_lx = illuminance_lx(_FULL, _SHORTEST_TIME)
        text = f"raw word 0xffff: light brighter than {brightest_lx:.0f} lx, or a floating bus"
        raise SensorUnavailable(f"{self._where}: {text}", flag=Flag.CHECK_FAILED)

    def _measure(self, measurement_time: int) -> int:
        self._send(_POWER_ON)  # a sleeping chip would not reset its data register
        self._send(_RESET)
        self._send(_SET_TIME_HIGH | measurement_time >> 5)
        self._send(_SET_TIME_LOW | measurement_time & 0x1F)
        self._send(_ONE_TIME_HIGH)
        longest_s = _LONGEST_S * measurement_time / _USUAL_TIME
        return self._word_after(longest_s) or self._word_after(longest_s)

    def _word_after(self, seconds: float) -> int:
        self._clock.sleep_s(seconds)
        return int.from_bytes(self._bus.read(self._address, 2), "big")

    def _send(self, command: int) -> None:
        self._bus.write(self._address, bytes((command,)))
