"""Texas Instruments INA219: voltage (V, ±0.5 %) of a supply or battery, 0 to 26 V, over I2C.

Wiring: 3.3 V, SDA, SCL; VIN- at the line to be measured (the voltage between VIN- and ground; no
shunt is needed). Address 0x40 to 0x4F, set by A0 and A1. Boards usually have 0x40, UPS boards for
the Raspberry Pi often 0x42 or 0x43.

Keys: `bus` (1), `address` (0x40), `quantities` (voltage), `range_v` (32, or 16 for lines that stay
below 16 V).

Quirks, from the data sheet (SBOS448):
- Every measurement is triggered and is the mean of 16 conversions (8.5 ms).
- One count is 4 mV in both ranges; the line must not exceed 26 V. A reading at the end of
  the range is refused, because the real voltage may be higher.
- The chip has neither identification nor checksum. The driver identifies it by its configuration
  after a reset: 0x399F (an INA226 or INA3221 at the same address has another). The configuration
  is read back with each measurement, so a floating or stuck bus is noticed.
- The overflow flag belongs to current and power, which are not used. If the flag is set, another
  program uses the chip.

After any failure the driver resets and identifies the chip before it uses the chip again.
"""

from dataclasses import dataclass

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, I2cBus, Sample
from firmware_bridge.errors import SensorFault, SensorUnavailable
from firmware_bridge.settings import require_one_of, require_quantities, require_whole

__all__ = ["QUANTITIES", "Config", "open"]

QUANTITIES = (Quantity.VOLTAGE,)

_CONFIGURATION, _BUS_VOLTAGE = 0x00, 0x02
_RESET, _AFTER_RESET = 0x8000, 0x399F
# Mean of 16 conversions of the bus voltage, triggered; the gain of the shunt as after a reset.
_MEASURE, _RANGE_32 = 0x1E1A, 0x2000
_MODE_BITS = 0b111  # these may differ, because the chip sleeps after the measurement
_OVERFLOW, _READY = 0x01, 0x02
_VOLTS_PER_COUNT = 0.004
_RESET_S = 0.001
_LONGEST_S = 16 * 0.000586
_POLL_S, _POLLS = 0.005, 10
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "ina219"` sensor."""

    bus: int = 1
    address: int = 0x40
    quantities: tuple[Quantity, ...] = QUANTITIES
    range_v: int = 32

    def __post_init__(self) -> None:
        require_whole("ina219", "bus", self.bus, 0, 255)
        require_whole("ina219", "address", self.address, 0x40, 0x4F)
        require_quantities("ina219", self.quantities, QUANTITIES)
        require_one_of("ina219", "range_v", self.range_v, (16, 32))


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Reset the chip and identify it by its configuration."""
    chip = _Ina219(config, board.i2c(config.bus), clock)
    chip.start()
    return chip


def voltage_v(register: int) -> float:
    """Return the voltage, V, of the bus voltage register (data sheet 8.6.3.2)."""
    return (register >> 3) * _VOLTS_PER_COUNT


class _Ina219:
    def __init__(self, config: Config, bus: I2cBus, clock: Clock) -> None:
        self._where = f"ina219 at i2c-{config.bus} {config.address:#04x}"
        self._config = config
        self._bus = bus
        self._clock = clock
        self._attempts = Attempts(self._where, clock, _PAUSE_S)
        self._setting = _MEASURE | (_RANGE_32 if config.range_v == 32 else 0)
        self._trusted = False

    def start(self) -> None:
        self._attempts.run(self._identify)
        self._trusted = True

    def read(self) -> Sample:
        value, flags = self._attempts.run(self._attempt)
        return Sample(values=((Quantity.VOLTAGE, value),), flags=flags)

    def close(self) -> None:
        """Do nothing: between triggered measurements the chip sleeps."""

    def _identify(self) -> None:
        self._set(_RESET)
        self._clock.sleep_s(_RESET_S)
        found = self._register(_CONFIGURATION)
        if found in (0x0000, 0xFFFF):
            raise self._distrust(f"configuration {found:#06x}, as on a stuck or floating bus")
        if found != _AFTER_RESET:
            text = f"configuration {found:#06x} after a reset, expected an INA219 (0x399f)"
            raise SensorFault(f"{self._where}: {text}")

    def _attempt(self) -> float:
        if not self._trusted:
            self._identify()
        # A failure below leaves this false, so that the next attempt resets the chip first.
        self._trusted = False
        value = self._checked(self._measure())
        self._trusted = True
        return value

    def _measure(self) -> int:
        self._set(self._setting)
        self._clock.sleep_s(_LONGEST_S)
        found = self._register(_CONFIGURATION)
        if (found ^ self._setting) & ~_MODE_BITS:
            text = f"configuration {found:#06x}, expected {self._setting:#06x} as written"
            raise self._distrust(text)
        for _ in range(_POLLS):
            register = self._register(_BUS_VOLTAGE)
            if register & _READY:
                return register
            self._clock.sleep_s(_POLL_S)
        raise SensorUnavailable(
            f"{self._where}: the chip does not finish measuring", flag=Flag.NO_ANSWER
        )

    def _checked(self, register: int) -> float:
        if register & _OVERFLOW:
            raise self._distrust("overflow flag: another program uses the chip, or the bus floats")
        value = voltage_v(register)
        if value >= self._config.range_v:
            text = f"{value:g} V is the end of the range, the real voltage may be higher"
            raise SensorFault(f"{self._where}: {text}; range_v is {self._config.range_v}")
        return value

    def _set(self, value: int) -> None:
        self._bus.write(self._config.address, bytes((_CONFIGURATION, *value.to_bytes(2, "big"))))

    def _register(self, number: int) -> int:
        answer = self._bus.write_read(self._config.address, bytes((number,)), 2)
        return int.from_bytes(answer, "big")

    def _distrust(self, why: str) -> SensorUnavailable:
        return SensorUnavailable(f"{self._where}: {why}", flag=Flag.CHECK_FAILED)
