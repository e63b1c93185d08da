"""Computes the raw words that a BME280 sends for a given temperature, humidity and pressure.

The words are found by a search over Bosch's *integer* compensation (data sheet 4.2.3). The driver
uses the floating-point form, so that simulator and driver do not share a mistake. This module also
defines the simulated chip's calibration and its bytes.
"""

import struct
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.chips.bme280 import Calibration

__all__ = ["TYPICAL", "RawWords", "calibration_bytes", "raw_words"]

# Temperature and pressure: the worked example of the BMP280 data sheet. Humidity: ordinary values.
TYPICAL = Calibration(
    t1=27504, t2=26435, t3=-1000,
    p1=36477, p2=-10685, p3=3024, p4=2855, p5=140, p6=-7, p7=15500, p8=-14600, p9=6000,
    h1=75, h2=362, h3=0, h4=315, h5=50, h6=30,
)  # fmt: skip

# Distance to the first word that reaches the humidity: Bosch's two forms differ by up to two.
_BELOW = 3
_SKIPPED_20, _SKIPPED_16 = 0x80000, 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class RawWords:
    """Words of the converters; a channel that was not measured has its skip code."""

    temperature: int = _SKIPPED_20
    pressure: int = _SKIPPED_20
    humidity: int = _SKIPPED_16


def calibration_bytes(c: Calibration) -> tuple[bytes, bytes]:
    """Return the contents of registers 0x88-0xA1 and 0xE1-0xE7."""
    p = (c.p1, c.p2, c.p3, c.p4, c.p5, c.p6, c.p7, c.p8, c.p9)
    low = struct.pack("<HhhH8hxB", c.t1, c.t2, c.t3, *p, c.h1)
    shared = (c.h4 & 0x0F) | (c.h5 & 0x0F) << 4
    high = struct.pack("<hBbBbb", c.h2, c.h3, c.h4 >> 4, shared, c.h5 >> 4, c.h6)
    return low, high


def raw_words(
    c: Calibration,
    temperature_c: float,
    pressure_pa: float | None,
    humidity_pct: float | None,
    bits: int,
) -> RawWords:
    """Return the words that decode to values nearest to the given ones, with `bits` (16 to 20).

    Humidity is rounded down, not to the nearest: saturated air must not read above 100 %.
    """
    coarse = 20 - bits

    def t_fine_of(code: int) -> int:
        return _t_fine(c, code << coarse)

    wanted = temperature_c * 5120
    temperature = _nearest(t_fine_of, wanted, bits) << coarse
    t_fine = _t_fine(c, temperature)
    words = RawWords(temperature=temperature + (temperature == _SKIPPED_20) * (1 << coarse))
    pressure, humidity = words.pressure, words.humidity
    if pressure_pa is not None:

        def falling(code: int) -> int:
            return -_pressure_256(c, t_fine, code << coarse)

        pressure = _nearest(falling, -pressure_pa * 256, bits) << coarse
        pressure += (pressure == _SKIPPED_20) * (1 << coarse)
    if humidity_pct is not None:

        def rising(code: int) -> int:
            return _humidity_1024(c, t_fine, code)

        humidity = max(1, bisect_left(range(0xFFFF), humidity_pct * 1024, key=rising) - _BELOW)
        humidity -= humidity == _SKIPPED_16
    return RawWords(temperature=words.temperature, pressure=pressure, humidity=humidity)


def _nearest(value_of: Callable[[int], int], wanted: float, bits: int) -> int:
    """Return the code with the value nearest to `wanted`; values rise; never all 0 or all 1."""
    last = (1 << bits) - 2
    code = min(last, max(2, bisect_left(range(1 << bits), wanted, key=value_of)))
    return code if value_of(code) - wanted <= wanted - value_of(code - 1) else code - 1


def _t_fine(c: Calibration, adc: int) -> int:
    var1 = (((adc >> 3) - (c.t1 << 1)) * c.t2) >> 11
    offset = (adc >> 4) - c.t1
    var2 = (((offset * offset) >> 12) * c.t3) >> 14
    return var1 + var2


def _pressure_256(c: Calibration, t_fine: int, adc: int) -> int:
    """Return the pressure in 1/256 Pa."""
    var1 = t_fine - 128000
    var2 = var1 * var1 * c.p6 + ((var1 * c.p5) << 17) + (c.p4 << 35)
    var1 = ((var1 * var1 * c.p3) >> 8) + ((var1 * c.p2) << 12)
    var1 = (((1 << 47) + var1) * c.p1) >> 33
    p = ((((1048576 - adc) << 31) - var2) * 3125) // var1
    var1 = (c.p9 * (p >> 13) * (p >> 13)) >> 25
    var2 = (c.p8 * p) >> 19
    return ((p + var1 + var2) >> 8) + (c.p7 << 4)


def _humidity_1024(c: Calibration, t_fine: int, adc: int) -> int:
    """Return the relative humidity in 1/1024 %, without the data sheet's clamp to 0...100."""
    x = t_fine - 76800
    scale = (((x * c.h6) >> 10) * (((x * c.h3) >> 11) + 32768)) >> 10
    scale = ((scale + 2097152) * c.h2 + 8192) >> 14
    h = (((adc << 14) - (c.h4 << 20) - c.h5 * x + 16384) >> 15) * scale
    h -= ((((h >> 15) * (h >> 15)) >> 7) * c.h1) >> 4
    return h >> 12
