"""DHT22: pulses to numbers, what is refused though its sum is right, and the pace of captures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.quantities import Flag, Quantity
from firmware_bridge.chips import dht22
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.simulated import Fault

RESPONSE_US, LOW_US, HIGH_US = [80, 80], 50, (26, 70)


def train(frame: bytes) -> list[int]:
    """Every pulse of an answer, 83 in all (AM2302 data sheet)."""
    bits = [byte >> shift & 1 for byte in frame for shift in range(7, -1, -1)]
    return [*RESPONSE_US, *(us for bit in bits for us in (LOW_US, HIGH_US[bit])), LOW_US]


def kept(pulses: list[int]) -> list[int]:
    return pulses[-81:]


def with_sum(data: bytes) -> bytes:
    return data + bytes((sum(data) & 0xFF,))


@pytest.mark.parametrize(
    ("frame", "humidity_tenths", "temperature_tenths"),
    [
        ("02 8C 01 5F EE", 652, 351),  # AM2302 data sheet
        ("02 8C 80 65 73", 652, -101),
        ("03 E8 83 20 8E", 1000, -800 + 0),
    ],
)
def test_frames(frame, humidity_tenths, temperature_tenths):
    pulses = kept(train(bytes.fromhex(frame)))
    assert len(pulses) == 81
    found = dht22.frame_bytes(pulses)
    assert found == bytes.fromhex(frame)
    if temperature_tenths < -400:
        with pytest.raises(dht22.BadFrame, match="outside"):
            dht22.parse_frame(found)
        return
    assert dht22.parse_frame(found) == dht22.Frame(
        temperature_tenths=temperature_tenths, humidity_tenths=humidity_tenths
    )


@given(st.binary(min_size=4, max_size=4), st.lists(st.integers(-15, 15), min_size=81, max_size=81))
def test_jitter_changes_nothing(data, jitter):
    frame = with_sum(data)
    pulses = [us + off for us, off in zip(kept(train(frame)), jitter, strict=True)]
    assert dht22.frame_bytes(pulses) == frame


@given(st.binary(min_size=4, max_size=4), st.integers(1, 81))
def test_a_missed_pulse_is_never_taken_for_data(data, at):
    # What the board sees: the pulse and its neighbours become one, and all others move up by two.
    pulses = train(with_sum(data))
    pulses[at - 1 : at + 2] = [sum(pulses[at - 1 : at + 2])]
    with pytest.raises(dht22.BadFrame, match="edge"):
        dht22.frame_bytes(kept(pulses))


@given(st.binary(min_size=4, max_size=4), st.integers(0, 39))
def test_a_flipped_bit_fails_the_sum(data, bit):
    number = int.from_bytes(with_sum(data), "big") ^ 1 << bit
    with pytest.raises(dht22.BadFrame, match="checksum"):
        dht22.parse_frame(number.to_bytes(5, "big"))


@pytest.mark.parametrize("count", [0, 1, 40, 79])
def test_too_few_pulses(count):
    with pytest.raises(dht22.BadFrame, match=f"{count} pulses"):
        dht22.frame_bytes(kept(train(bytes.fromhex("028C015FEE")))[:count])


@pytest.mark.parametrize(
    "frame",
    [
        "00 00 00 00 00",  # line stuck low: the sum is right
        "00 0A 00 01 0B",
        "00 0A 00 00 0A",
        "00 14 00 00 14",
        "03 E9 00 64 50",  # 100.1 %RH
        "01 F4 03 21 19",  # 80.1 Cel
        "01 F4 81 91 07",  # -40.1 Cel
    ],
)
def test_right_sum_but_impossible(frame):
    data = bytes.fromhex(frame)
    assert with_sum(data[:4]) == data
    with pytest.raises(dht22.BadFrame):
        dht22.parse_frame(data)


def test_fresh_value_after_a_pause(make_bench):
    bench = make_bench("dht22")
    chip = bench.open()
    bench.clock.now_s += 3600
    bench.air.become(temperature_c=-10.1, humidity_pct=88.8, pressure_pa=None)
    started_s = bench.clock.now_s
    assert dict(chip.read().values) == {Quantity.TEMPERATURE: -10.1, Quantity.HUMIDITY: 88.8}
    assert bench.clock.now_s - started_s == pytest.approx(2.0)


def test_value_of_the_capture_before_in_quick_succession(make_bench):
    bench = make_bench("dht22")
    chip = bench.open()
    bench.clock.now_s += 30
    bench.air.become(temperature_c=0.5, humidity_pct=40.0, pressure_pa=None)
    assert dict(chip.read().values)[Quantity.TEMPERATURE] == 21.5
    bench.clock.now_s += 30
    assert dict(chip.read().values)[Quantity.TEMPERATURE] == 0.5


def test_captures_keep_their_distance(make_bench):
    bench = make_bench("dht22", min_interval_s=3.0)
    chip = bench.open()
    started_s = bench.clock.now_s
    for _ in range(3):
        chip.read()
    assert bench.clock.now_s - started_s == pytest.approx(9.0)


def test_retries_keep_their_distance(make_bench):
    bench = make_bench("dht22")
    chip = bench.open()
    started_s = bench.clock.now_s
    bench.faults.queue(Fault.CHECK_FLIPPED, Fault.ABSENT)
    assert chip.read().flags == {Flag.RETRIED}
    assert bench.clock.now_s - started_s == pytest.approx(6.0)


def test_simulated_sensor_is_silent_when_asked_too_soon(make_bench):
    bench = make_bench("dht22")
    line = bench.simulated.pulse_line(4)
    assert len(line.capture(0.001)) == 81
    bench.clock.now_s += 1.9
    assert line.capture(0.001) == ()
    bench.clock.now_s += 2.0
    assert line.capture(0.0001) == ()


def test_pin_that_cannot_be_used(clock):
    class BrokenLine:
        def capture(self, start_low_s):
            assert start_low_s >= 0.001
            raise BusError("pin 4: taken")

    class Board:
        def pulse_line(self, pin):
            assert pin == 4
            return BrokenLine()

    with pytest.raises(SensorUnavailable, match="taken") as caught:
        dht22.open(dht22.Config(pin=4), Board(), clock)
    assert caught.value.flag is Flag.NO_ANSWER
    assert isinstance(caught.value.__cause__, BusError)
