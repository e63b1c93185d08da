"""Bosch BME280: temperature (Cel, ±1), humidity (%RH, ±3) and pressure (Pa, ±100) over I2C.

Wiring: 3.3 V, SDA, SCL; address 0x76 with SDO at ground, 0x77 with SDO at supply. A module with
id 0x58 is a BMP280, which has no humidity, and is refused.

Keys: `bus` (1), `address` (0x76), `quantities` (all three; the others are not measured),
`oversampling` (1, 2, 4, 8 or 16; for all channels).

Quirks, by section of the data sheet (BST-BME280-DS002):
- 5.4.3: `ctrl_hum` takes effect only with the next write to `ctrl_meas`, so it is written first.
- 3.3: the driver uses forced mode only; in normal mode the chip warms itself.
- 4: the eight data registers are read in one burst; separate reads could mix two measurements.
- 4.2.2: the calibration is read twice at start and compared, since this chip has no checksum.
- 4.2.3: humidity and pressure need `t_fine`, so temperature is always measured.

After any failure the driver resets and identifies the chip before it uses the chip again. Values
are reported as computed: humidity may be a little below 0 or above 100.
"""

import struct
from dataclasses import dataclass

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, I2cBus, Sample
from firmware_bridge.errors import SensorFault, SensorUnavailable
from firmware_bridge.settings import require_one_of, require_quantities, require_whole

__all__ = ["QUANTITIES", "Calibration", "Config", "open"]

QUANTITIES = (Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.PRESSURE)

_ID, _RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF7
_CALIBRATION_LOW, _CALIBRATION_HIGH = (0x88, 26), (0xE1, 7)
_CHIP_ID, _BMP280_IDS = 0x60, (0x56, 0x57, 0x58)
_MEASURING, _IM_UPDATE = 0x08, 0x01
_OVERSAMPLING = {1: 1, 2: 2, 4: 3, 8: 4, 16: 5}  # times -> register code (5.4.3)
_RESET_S = 0.002
_POLL_S, _POLLS = 0.002, 25  # after the maximum time; a chip that is busy 50 ms longer hangs
_PAUSE_S = 0.01
_SKIPPED_20, _SKIPPED_16 = 0x80000, 0x8000
_FULL_20, _FULL_16 = 0xFFFFF, 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "bme280"` sensor."""

    bus: int = 1
    address: int = 0x76
    quantities: tuple[Quantity, ...] = QUANTITIES
    oversampling: int = 1

    def __post_init__(self) -> None:
        require_whole("bme280", "bus", self.bus, 0, 255)
        require_one_of("bme280", "address", self.address, (0x76, 0x77))
        require_quantities("bme280", self.quantities, QUANTITIES)
        require_one_of("bme280", "oversampling", self.oversampling, tuple(_OVERSAMPLING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The coefficients burnt into one chip, named as in data sheet 4.2.2, table 16."""

    t1: int
    t2: int
    t3: int
    p1: int
    p2: int
    p3: int
    p4: int
    p5: int
    p6: int
    p7: int
    p8: int
    p9: int
    h1: int
    h2: int
    h3: int
    h4: int
    h5: int
    h6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMeasurement:
    """The words of the three converters: 20, 20 and 16 bits."""

    pressure: int
    temperature: int
    humidity: int


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Identify the chip, reset it and read its calibration."""
    chip = _Bme280(config, board.i2c(config.bus), clock)
    chip.start()
    return chip


def parse_calibration(block: bytes) -> Calibration:
    """Return the coefficients from registers 0x88-0xA1 and 0xE1-0xE7, 33 bytes."""
    t1, t2, t3, p1, *p2_to_p9 = struct.unpack_from("<HhhH8h", block)
    p2, p3, p4, p5, p6, p7, p8, p9 = p2_to_p9
    h2, h3, e4, e5, e6, h6 = struct.unpack_from("<hBbBbb", block, 26)
    return Calibration(
        t1=t1, t2=t2, t3=t3,
        p1=p1, p2=p2, p3=p3, p4=p4, p5=p5, p6=p6, p7=p7, p8=p8, p9=p9,
        h1=block[25], h2=h2, h3=h3, h4=e4 * 16 + (e5 & 0x0F), h5=e6 * 16 + (e5 >> 4), h6=h6,
    )  # fmt: skip


def parse_measurement(burst: bytes) -> RawMeasurement:
    """Return the raw words from registers 0xF7-0xFE, 8 bytes."""
    return RawMeasurement(
        pressure=burst[0] << 12 | burst[1] << 4 | burst[2] >> 4,
        temperature=burst[3] << 12 | burst[4] << 4 | burst[5] >> 4,
        humidity=burst[6] << 8 | burst[7],
    )


def fine_temperature(c: Calibration, raw: int) -> float:
    """Return the temperature in 1/5120 Cel (the data sheet's `t_fine`); other channels need it."""
    offset = raw / 131072 - c.t1 / 8192
    return (raw / 16384 - c.t1 / 1024) * c.t2 + offset * offset * c.t3


def pressure_pa(c: Calibration, t_fine: float, raw: int) -> float:
    """Return the pressure, Pa (Bosch's floating-point form, data sheet 8.1)."""
    x = t_fine / 2 - 64000
    offset = (x * x * c.p6 / 32768 + x * c.p5 * 2) / 4 + c.p4 * 65536
    slope = (1 + (c.p3 * x * x / 524288 + c.p2 * x) / 524288 / 32768) * c.p1
    if slope == 0:
        raise SensorFault("bme280: impossible calibration: the pressure slope is zero")
    p = (1048576 - raw - offset / 4096) * 6250 / slope
    return p + (c.p9 * p * p / 2147483648 + p * c.p8 / 32768 + c.p7) / 16


def humidity_pct(c: Calibration, t_fine: float, raw: int) -> float:
    """Return the relative humidity, % (Bosch's floating-point form, 8.1, without its clamp)."""
    x = t_fine - 76800
    slope = c.h2 / 65536 * (1 + c.h6 / 67108864 * x * (1 + c.h3 / 67108864 * x))
    h = (raw - (c.h4 * 64 + c.h5 / 16384 * x)) * slope
    return h * (1 - c.h1 * h / 524288)


def longest_measurement_s(config: Config) -> float:
    """Return the longest time of one forced measurement, seconds (data sheet 9.1)."""
    channels = {Quantity.TEMPERATURE, *config.quantities}
    conversions_ms = 2.3 * config.oversampling * len(channels)
    return (1.25 + conversions_ms + 0.575 * (len(channels) - 1)) / 1000


class _Bme280:
    def __init__(self, config: Config, bus: I2cBus, clock: Clock) -> None:
        self._where = f"bme280 at i2c-{config.bus} {config.address:#04x}"
        self._address = config.address
        self._quantities = config.quantities
        self._bus = bus
        self._clock = clock
        self._attempts = Attempts(self._where, clock, _PAUSE_S)
        self._longest_s = longest_measurement_s(config)
        code = _OVERSAMPLING[config.oversampling]
        self._ctrl_hum = code if Quantity.HUMIDITY in config.quantities else 0
        pressure = code if Quantity.PRESSURE in config.quantities else 0
        self._ctrl_meas = code << 5 | pressure << 2 | 0b01
        self._calibration: Calibration | None = None

    def start(self) -> None:
        self._calibration, _ = self._attempts.run(self._identify)

    def read(self) -> Sample:
        values, flags = self._attempts.run(self._attempt)
        return Sample(values=values, flags=flags)

    def close(self) -> None:
        """Do nothing: between forced measurements the chip sleeps."""

    def _attempt(self) -> tuple[tuple[Quantity, float], ...]:
        calibration = self._calibration or self._identify()
        # A failure below leaves this None, so that the next attempt identifies the chip again.
        self._calibration = None
        raw = self._trusted(self._measure())
        t_fine = fine_temperature(calibration, raw.temperature)
        values = tuple((q, _value(q, calibration, t_fine, raw)) for q in self._quantities)
        self._calibration = calibration
        return values

    def _identify(self) -> Calibration:
        self._require_id(self._registers(_ID, 1)[0])
        self._bus.write(self._address, bytes((_RESET, 0xB6)))
        self._clock.sleep_s(_RESET_S)
        self._wait_while(_IM_UPDATE, "copying its calibration")
        first, second = self._calibration_block(), self._calibration_block()
        if first != second:
            raise self._distrust("two reads of the calibration differ: check the wiring")
        calibration = parse_calibration(first)
        if (
            calibration.t1 in (0, 0xFFFF)
            or calibration.p1 in (0, 0xFFFF)
            or calibration.h2 in (0, -1)
        ):
            raise SensorFault(
                f"{self._where}: impossible calibration {first.hex()}: replace the chip"
            )
        return calibration

    def _require_id(self, found: int) -> None:
        if found in (0x00, 0xFF):
            raise self._distrust(f"id {found:#04x}, as on a stuck or floating bus")
        if found in _BMP280_IDS:
            raise SensorFault(
                f"{self._where}: id {found:#04x} is a BMP280, expected a BME280 (0x60)"
            )
        if found != _CHIP_ID:
            raise SensorFault(
                f"{self._where}: id {found:#04x} is unknown, expected a BME280 (0x60)"
            )

    def _calibration_block(self) -> bytes:
        return self._registers(*_CALIBRATION_LOW) + self._registers(*_CALIBRATION_HIGH)

    def _measure(self) -> bytes:
        self._bus.write(self._address, bytes((_CTRL_HUM, self._ctrl_hum)))
        self._bus.write(self._address, bytes((_CTRL_MEAS, self._ctrl_meas)))
        self._clock.sleep_s(self._longest_s)
        self._wait_while(_MEASURING, "measuring")
        return self._registers(_DATA, 8)

    def _wait_while(self, bit: int, doing: str) -> None:
        for _ in range(_POLLS):
            status = self._registers(_STATUS, 1)[0]
            if status == 0xFF:
                raise self._distrust("status 0xff, as on a floating bus")
            if not status & bit:
                return
            self._clock.sleep_s(_POLL_S)
        raise SensorUnavailable(
            f"{self._where}: the chip does not finish {doing}", flag=Flag.NO_ANSWER
        )

    def _trusted(self, burst: bytes) -> RawMeasurement:
        raw = parse_measurement(burst)
        words = [(raw.temperature, _SKIPPED_20, _FULL_20)]
        if Quantity.PRESSURE in self._quantities:
            words.append((raw.pressure, _SKIPPED_20, _FULL_20))
        if Quantity.HUMIDITY in self._quantities:
            words.append((raw.humidity, _SKIPPED_16, _FULL_16))
        for word, skipped, full in words:
            if word == skipped:
                raise SensorFault(f"{self._where}: the chip skipped a channel that was requested")
            if word in (0, full):
                raise self._distrust(f"raw word {word:#x}, as on a stuck or floating bus")
        return raw

    def _registers(self, first: int, count: int) -> bytes:
        return self._bus.write_read(self._address, bytes((first,)), count)

    def _distrust(self, why: str) -> SensorUnavailable:
        return SensorUnavailable(f"{self._where}: {why}", flag=Flag.CHECK_FAILED)


def _value(quantity: Quantity, c: Calibration, t_fine: float, raw: RawMeasurement) -> float:
    if quantity is Quantity.TEMPERATURE:
        return t_fine / 5120
    if quantity is Quantity.PRESSURE:
        return pressure_pa(c, t_fine, raw.pressure)
    return humidity_pct(c, t_fine, raw.humidity)
