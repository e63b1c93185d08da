"""BME280: arithmetic against Bosch's example and integer form, and the chip's own quirks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.quantities import Flag, Quantity
from firmware_bridge.chips import bme280
from firmware_bridge.errors import SensorFault, SensorUnavailable
from firmware_bridge.simulated import Fault
from firmware_bridge.simulated.bme280 import SimulatedBme280
from firmware_bridge.simulated.bme280_inverse import calibration_bytes
from firmware_bridge.simulated.feeds import Surroundings

# T1..T3, P1..P9: worked example in the BMP280 data sheet; H1..H6: ordinary values of a real part.
EXAMPLE = bme280.Calibration(
    t1=27504, t2=26435, t3=-1000,
    p1=36477, p2=-10685, p3=3024, p4=2855, p5=140, p6=-7, p7=15500, p8=-14600, p9=6000,
    h1=75, h2=362, h3=0, h4=315, h5=50, h6=30,
)  # fmt: skip


def bosch_humidity_32bit(c, t_fine: int, adc: int) -> float:
    """The data sheet's 32-bit form (4.2.3), each step checked to fit 32 bits, without the clamp."""

    def int32(value: int) -> int:
        assert -(2**31) <= value < 2**31
        return value

    v = int32(t_fine - 76800)
    left = int32(int32(adc << 14) - int32(c.h4 << 20) - int32(c.h5 * v) + 16384) >> 15
    inner = int32(int32(v * c.h6) >> 10) * int32((int32(v * c.h3) >> 11) + 32768)
    right = int32(int32(int32((int32(inner) >> 10) + 2097152) * c.h2) + 8192) >> 14
    v = int32(left * right)
    v = int32(v - (int32((int32((v >> 15) * (v >> 15)) >> 7) * c.h1) >> 4))
    return (v >> 12) / 1024


def test_temperature_example():
    t_fine = bme280.fine_temperature(EXAMPLE, 519888)
    assert int(t_fine) == 128422
    assert t_fine / 5120 == pytest.approx(25.08, abs=0.005)


def test_pressure_example():
    assert bme280.pressure_pa(EXAMPLE, 128422, 415148) == pytest.approx(100_653.3, abs=0.1)


def test_humidity_of_one_word_by_both_forms():
    # No vector is published; both numbers come from formulas written apart from each other.
    by_float = bme280.humidity_pct(EXAMPLE, 128422, 30000)
    assert by_float == pytest.approx(bosch_humidity_32bit(EXAMPLE, 128422, 30000), abs=0.01)
    assert 50 < by_float < 60


@given(st.integers(-40 * 5120, 85 * 5120), st.integers(0, 100), st.data())
def test_humidity_by_both_forms_over_the_range(t_fine, percent, data):
    # A word that belongs to a possible humidity: outside it the 32-bit form overflows.
    word = next(
        adc
        for adc in range(15000, 60000, 64)
        if bme280.humidity_pct(EXAMPLE, t_fine, adc) >= percent
    ) + data.draw(st.integers(-64, 63))
    by_float = bme280.humidity_pct(EXAMPLE, t_fine, word)
    assert by_float == pytest.approx(bosch_humidity_32bit(EXAMPLE, t_fine, word), abs=0.02)


def test_calibration_bytes_by_hand():
    block = bytearray(33)
    block[0:2] = (27504).to_bytes(2, "little")
    block[4:6] = (-1000).to_bytes(2, "little", signed=True)
    block[25] = 75
    block[26:33] = bytes((0x6A, 0x01, 0x00, 0x13, 0x2B, 0x03, 0x1E))  # E1..E7
    parsed = bme280.parse_calibration(bytes(block))
    assert (parsed.t1, parsed.t3, parsed.h1) == (27504, -1000, 75)
    assert (parsed.h2, parsed.h3, parsed.h4, parsed.h5, parsed.h6) == (362, 0, 0x13B, 0x032, 30)


@given(st.integers(-2048, 2047), st.integers(-2048, 2047), st.integers(-128, 127))
def test_signed_twelve_bit_coefficients(h4, h5, h6):
    calibration = replace(EXAMPLE, h4=h4, h5=h5, h6=h6)
    assert bme280.parse_calibration(b"".join(calibration_bytes(calibration))) == calibration


def test_data_registers():
    burst = bytes((0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x75, 0x30))
    raw = bme280.parse_measurement(burst)
    assert (raw.pressure, raw.temperature, raw.humidity) == (415148, 519888, 30000)


@pytest.mark.parametrize(
    ("oversampling", "quantities", "milliseconds"),
    [
        (1, bme280.QUANTITIES, 9.3),
        (16, bme280.QUANTITIES, 112.8),
        (1, (Quantity.PRESSURE,), 1.25 + 4.6 + 0.575),
        (1, (Quantity.TEMPERATURE,), 1.25 + 2.3),
    ],
)
def test_longest_time(oversampling, quantities, milliseconds):
    config = bme280.Config(oversampling=oversampling, quantities=quantities)
    assert bme280.longest_measurement_s(config) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("oversampling", [1, 2, 4, 8, 16])
def test_more_oversampling_resolves_more(oversampling, make_bench):
    bench = make_bench("bme280", oversampling=oversampling)
    chip = bench.open()
    step_pa = 2.9 / oversampling  # 16 bits resolve some 2.8 Pa with this calibration
    for tenths in range(20):
        pressure_pa = 100_000 + tenths / 10
        bench.air.become(temperature_c=20.0, humidity_pct=50.0, pressure_pa=pressure_pa)
        found = dict(chip.read().values)[Quantity.PRESSURE]
        assert abs(found - pressure_pa) <= step_pa / 2 + 0.05  # the integer form's own rounding


@pytest.mark.parametrize("via", ["simulated", "linux"])
def test_bmp280_is_refused_by_name(via, make_bench):
    bench = make_bench("bme280", via)
    bench.faults.last(Fault.WRONG_ID)
    with pytest.raises(SensorFault, match=r"0x76: id 0x58 is a BMP280"):
        bench.open()


def test_chip_swapped_for_a_bmp280_while_away(make_bench):
    bench = make_bench("bme280")
    chip = bench.open()
    bench.faults.last(Fault.ABSENT)
    with pytest.raises(SensorUnavailable):
        chip.read()
    bench.faults.last(Fault.WRONG_ID)
    with pytest.raises(SensorFault):
        chip.read()


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        (Fault.FLOATING, Flag.CHECK_FAILED),
        (Fault.STUCK_LOW, Flag.CHECK_FAILED),
        (Fault.STUCK_BUSY, Flag.NO_ANSWER),
    ],
)
def test_unusable_at_open(fault, flag, make_bench):
    bench = make_bench("bme280")
    bench.faults.last(fault)
    with pytest.raises(SensorUnavailable) as caught:
        bench.open()
    assert caught.value.flag is flag


@pytest.mark.parametrize(
    "change", [{"t1": 0}, {"t1": 0xFFFF}, {"p1": 0}, {"p1": 0xFFFF}, {"h2": 0}]
)
def test_impossible_calibration(change, simulated, clock, air):
    around = Surroundings(feed=air, clock=clock, wall_s=clock.wall_s)
    simulated.wire(1).chips[0x76] = SimulatedBme280(around, replace(EXAMPLE, **change))
    with pytest.raises(SensorFault, match="impossible calibration"):
        bme280.open(bme280.Config(), simulated, clock)


def test_pressure_that_divides_by_zero_is_a_fault():
    # With these coefficients the slope is (1 + x * -1 / 32768) * P1, zero at x = 32768.
    calibration = replace(EXAMPLE, p2=-524288, p3=0)
    with pytest.raises(SensorFault):
        bme280.pressure_pa(calibration, 2 * (32768 + 64000), 415148)


class Tampered:
    """A chip that loses writes to one register, or whose calibration flickers."""

    def __init__(self, chip, *, deaf_register=None, flicker=False) -> None:
        self._chip = chip
        self._deaf_register = deaf_register
        self._flicker = flicker
        self._reads_total = 0

    def write(self, data: bytes) -> None:
        if len(data) == 1 or data[0] != self._deaf_register:
            self._chip.write(data)

    def read(self, count: int) -> bytes:
        answer = self._chip.read(count)
        self._reads_total += 1
        if self._flicker and count == 26:
            return bytes((answer[0] ^ self._reads_total & 0xFF,)) + answer[1:]
        return answer


def test_skipped_channel_is_a_fault(simulated, clock, air):
    simulated.plug(bme280.Config(), air)
    wire = simulated.wire(1)
    wire.chips[0x76] = Tampered(wire.chips[0x76], deaf_register=0xF2)
    chip = bme280.open(bme280.Config(), simulated, clock)
    with pytest.raises(SensorFault, match="skipped a channel"):
        chip.read()
    pressure_only = bme280.open(bme280.Config(quantities=(Quantity.PRESSURE,)), simulated, clock)
    assert pressure_only.read().values[0][1] == pytest.approx(101_300, abs=3)


def test_calibration_that_reads_differently_is_not_trusted(simulated, clock, air):
    simulated.plug(bme280.Config(), air)
    wire = simulated.wire(1)
    wire.chips[0x76] = Tampered(wire.chips[0x76], flicker=True)
    with pytest.raises(SensorUnavailable, match="two reads of the calibration differ") as caught:
        bme280.open(bme280.Config(), simulated, clock)
    assert caught.value.flag is Flag.CHECK_FAILED


def test_unmeasured_quantities_need_not_be_known(make_bench):
    bench = make_bench("bme280", quantities=(Quantity.PRESSURE,))
    chip = bench.open()
    bench.air.become(temperature_c=5.0, humidity_pct=None, pressure_pa=99_000.0)
    assert chip.read().values[0][1] == pytest.approx(99_000, abs=3)
    bench.air.become(temperature_c=5.0, humidity_pct=40.0, pressure_pa=None)
    with pytest.raises(SensorUnavailable):
        chip.read()


def test_two_sensors_share_one_chip(simulated, clock, air):
    one = bme280.Config(quantities=(Quantity.TEMPERATURE, Quantity.HUMIDITY))
    other = bme280.Config(quantities=(Quantity.PRESSURE,), oversampling=16)
    assert simulated.plug(one, air) is simulated.plug(other, air)
    first, second = bme280.open(one, simulated, clock), bme280.open(other, simulated, clock)
    for _ in range(2):
        assert dict(first.read().values)[Quantity.HUMIDITY] == pytest.approx(48.0, abs=0.05)
        assert dict(second.read().values)[Quantity.PRESSURE] == pytest.approx(101_300, abs=1)


def test_waits_the_longest_time_before_asking(make_bench):
    bench = make_bench("bme280")
    chip = bench.open()
    bench.clock.slept_s.clear()
    chip.read()
    assert bench.clock.slept_s == [pytest.approx(0.0093)]
