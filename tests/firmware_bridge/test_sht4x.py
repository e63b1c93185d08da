"""SHT4x: frames and formulas against known vectors, and its silence while it measures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.quantities import Flag
from firmware_bridge.chips import sht4x
from firmware_bridge.crc import checked_words, crc8
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.simulated import Fault


@pytest.mark.parametrize(
    ("init", "data", "crc"),
    [
        (0xFF, "BEEF", 0x92),  # Sensirion data sheets
        (0x00, "DC", 0x79),  # HTU21D data sheet
        (0x00, "683A", 0x7C),
        (0x00, "4E85", 0x6B),
        (0xFF, "1C269A7642E7", 0x76),  # an AHT20 frame
    ],
)
def test_crc(init, data, crc):
    assert crc8(bytes.fromhex(data), init=init) == crc


@given(st.binary(min_size=2, max_size=2), st.integers(0, 23))
def test_crc_sees_any_flipped_bit(data, bit):
    frame = bytearray(data + bytes((crc8(data),)))
    frame[bit // 8] ^= 1 << bit % 8
    assert crc8(bytes(frame[:2])) != frame[2]


@pytest.mark.parametrize(
    ("frame", "temperature_c", "humidity_pct"),
    [
        ("66 66 93 80 00 A2", 25.0, 56.5010),
        ("FF FF AC FF FF AC", 130.0, 119.0),
        ("00 00 81 00 00 81", -45.0, -6.0),
    ],
)
def test_frames(frame, temperature_c, humidity_pct):
    found = checked_words(bytes.fromhex(frame))
    assert found is not None
    assert sht4x.temperature_c(found[0]) == pytest.approx(temperature_c, abs=0.005)
    assert sht4x.humidity_pct(found[1]) == pytest.approx(humidity_pct, abs=0.0001)


@pytest.mark.parametrize("frame", ["66 66 92 80 00 A2", "66 66 93 80 00 A3", "00" * 6, "FF" * 6])
def test_wrong_frames(frame):
    assert checked_words(bytes.fromhex(frame)) is None


@pytest.mark.parametrize(
    ("precision", "longest_s"), [("high", 0.0083), ("medium", 0.0045), ("low", 0.0016)]
)
def test_waits_the_longest_time_of_its_precision(precision, longest_s, make_bench):
    bench = make_bench("sht4x", precision=precision)
    chip = bench.open()
    bench.clock.slept_s.clear()
    assert chip.read().flags == frozenset()
    assert bench.clock.slept_s == [pytest.approx(longest_s)]


def test_simulated_chip_does_not_answer_while_it_measures(make_bench):
    bench = make_bench("sht4x")
    bus = bench.simulated.i2c(1)
    bus.write(0x44, b"\xfd")
    with pytest.raises(BusError, match="EREMOTEIO"):
        bus.read(0x44, 6)
    bench.clock.sleep_s(0.0083)
    assert checked_words(bus.read(0x44, 6)) is not None
    with pytest.raises(BusError):
        bus.read(0x44, 6)


def test_bad_serial_number_at_open(make_bench):
    bench = make_bench("sht4x")
    bench.faults.last(Fault.CHECK_FLIPPED)
    with pytest.raises(SensorUnavailable) as caught:
        bench.open()
    assert caught.value.flag is Flag.CHECK_FAILED
