"""Sensirion SCD40, SCD41: CO2 (ppm, ±50 and 5 %), temperature (Cel, ±0.8), humidity (%RH, ±6).

Wiring: 3.3 V or 5 V, SDA, SCL (I2C). The address is always 0x62. The supply must give 205 mA in
peaks.

Keys: `bus` (1), `quantities` (all three), `altitude_m` (0 to 3000) and `self_calibration` (true).
`altitude_m` is the height above sea level, because the CO2 value depends on air pressure. Set
`self_calibration` to false in rooms that never get fresh air.

The chip measures by itself every 5 seconds, and a reading never waits for it. A reading before the
first result, or less than 5 seconds after the previous reading, has no value (`no_answer`). Set
`interval_s` to 10 or more. `dewline-gateway read` waits for the first result.

Quirks, by command of the data sheet:
- start_periodic_measurement: while it measures, the chip accepts few commands. So `open` first
  stops a measurement that an earlier process left running (0.5 s), then reads the serial number,
  then starts.
- read_measurement: a result can be fetched once. If its CRC fails, it is lost, and that reading has
  no value.
- automatic self-calibration: the chip treats the lowest value of a week as 400 ppm.
- temperature offset: the chip subtracts its own heating (4 Cel as delivered) from the temperature.
- Every two bytes have a CRC-8 (polynomial 0x31, start 0xFF). A result of 0 ppm is not a value.

If there was no result for 15 seconds, the chip has lost power, and the driver starts it again. The
chip continues to measure after `close`.
"""

from dataclasses import dataclass
from typing import ClassVar

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, I2cBus, Sample
from firmware_bridge.crc import checked_words, crc8
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.settings import require_flag, require_quantities, require_whole

__all__ = ["QUANTITIES", "Config", "open"]

QUANTITIES = (Quantity.CO2, Quantity.TEMPERATURE, Quantity.HUMIDITY)

_START, _STOP, _READY, _FETCH = 0x21B1, 0x3F86, 0xE4B8, 0xEC05
_SERIAL, _SET_ALTITUDE, _SET_SELF_CALIBRATION = 0x3682, 0x2427, 0x2416
_READY_BITS = 0x07FF  # any of them set: there is a new result
_COMMAND_S, _STOP_S = 0.001, 0.5
_PERIOD_S = 5.0
_SLOWEST_PERIOD_S = 1.1 * _PERIOD_S  # the chip's own clock may be slow
_SILENT_S = 3 * _PERIOD_S
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "scd4x"` sensor."""

    address: ClassVar[int] = 0x62

    bus: int = 1
    quantities: tuple[Quantity, ...] = QUANTITIES
    altitude_m: int = 0
    self_calibration: bool = True

    def __post_init__(self) -> None:
        require_whole("scd4x", "bus", self.bus, 0, 255)
        require_quantities("scd4x", self.quantities, QUANTITIES)
        require_whole("scd4x", "altitude_m", self.altitude_m, 0, 3000)
        require_flag("scd4x", "self_calibration", self.self_calibration)


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Read the serial number, which proves that the chip is there, and start measuring."""
    chip = _Scd4x(config, board.i2c(config.bus), clock)
    chip.start()
    return chip


def temperature_c(word: int) -> float:
    """Return the temperature, Cel (data sheet 3.5.2)."""
    return -45 + 175 * word / 65535


def humidity_pct(word: int) -> float:
    """Return the relative humidity, % (data sheet 3.5.2)."""
    return 100 * word / 65535


class _Scd4x:
    def __init__(self, config: Config, bus: I2cBus, clock: Clock) -> None:
        self._where = f"scd4x at i2c-{config.bus} {config.address:#04x}"
        self._config = config
        self._bus = bus
        self._clock = clock
        self._attempts = Attempts(self._where, clock, _PAUSE_S)
        self._heard_s = clock.monotonic_s()  # time of the start, or of the latest result

    def start(self) -> None:
        self._attempts.run(self._begin)
        self._heard_s = self._clock.monotonic_s()

    def read(self) -> Sample:
        is_ready, flags = self._attempts.run(self._is_ready)
        if not is_ready:
            raise self._not_ready()
        computed = self._fetch()
        self._heard_s = self._clock.monotonic_s()
        values = tuple((quantity, computed[quantity]) for quantity in self._config.quantities)
        return Sample(values=values, flags=flags)

    def close(self) -> None:
        """Do nothing: the chip continues to measure until the next `open`."""

    def _begin(self) -> None:
        self._send(_STOP)
        self._clock.sleep_s(_STOP_S)
        self._ask(_SERIAL, 3)
        self._send(_SET_ALTITUDE, self._config.altitude_m)
        self._send(_SET_SELF_CALIBRATION, int(self._config.self_calibration))
        self._send(_START)

    def _is_ready(self) -> bool:
        return self._ask(_READY, 1)[0] & _READY_BITS != 0

    def _not_ready(self) -> SensorUnavailable:
        silent_s = self._clock.monotonic_s() - self._heard_s
        if silent_s > _SILENT_S:
            self.start()
            silent_s = 0.0
            text = f"no result for too long: chip started again, first result in {_PERIOD_S:g} s"
        else:
            text = (
                f"no new result for {silent_s:.1f} s: the chip has a result every {_PERIOD_S:g} s, "
                "the first one that time after the start. Set interval_s to 10 or more"
            )
        ready_in_s = max(_PAUSE_S, _SLOWEST_PERIOD_S - silent_s)
        return SensorUnavailable(
            f"{self._where}: {text}", flag=Flag.NO_ANSWER, ready_in_s=ready_in_s
        )

    def _fetch(self) -> dict[Quantity, float]:
        # One attempt: after a failure the chip's buffer is empty, so another attempt would fail.
        try:
            co2, temperature, humidity = self._ask(_FETCH, 3)
        except BusError as error:
            text = f"{self._where}: the result could not be fetched: {error}"
            raise SensorUnavailable(text, flag=Flag.NO_ANSWER) from error
        if co2 == 0:
            raise SensorUnavailable(f"{self._where}: 0 ppm is not a value", flag=Flag.CHECK_FAILED)
        return {
            Quantity.CO2: float(co2),
            Quantity.TEMPERATURE: temperature_c(temperature),
            Quantity.HUMIDITY: humidity_pct(humidity),
        }

    def _send(self, command: int, word: int | None = None) -> None:
        data = command.to_bytes(2, "big")
        if word is not None:
            argument = word.to_bytes(2, "big")
            data += argument + bytes((crc8(argument),))
        self._bus.write(self._config.address, data)
        self._clock.sleep_s(_COMMAND_S)

    def _ask(self, command: int, count: int) -> tuple[int, ...]:
        self._send(command)
        frame = self._bus.read(self._config.address, 3 * count)
        found = checked_words(frame)
        if found is None:
            text = f"{self._where}: checksum failed: {frame.hex(' ')}"
            raise SensorUnavailable(text, flag=Flag.CHECK_FAILED)
        return found
