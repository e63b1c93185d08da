"""SCD4x: frames of the data sheet, its own pace, lost results, and a chip that lost power."""

import pytest

from contract.quantities import Flag, Quantity
from firmware_bridge.chips import scd4x
from firmware_bridge.crc import checked_words
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.simulated import Fault

SET_ALTITUDE, SET_SELF_CALIBRATION = 0x2427, 0x2416


def chip_of(bench):
    return bench.simulated.wire(1).chips[0x62]


def test_result_of_the_data_sheet():
    words = checked_words(bytes.fromhex("01F433 6667A2 5EB93C"))  # 3.5.2, example
    assert words is not None
    assert words[0] == 500
    assert scd4x.temperature_c(words[1]) == pytest.approx(25.0, abs=0.005)
    assert scd4x.humidity_pct(words[2]) == pytest.approx(37.0, abs=0.005)


@pytest.mark.parametrize("frame", ["F89631 9F07C2 3BBE89", "8000A2", "800604"])
def test_serial_number_and_ready_words_of_the_data_sheet(frame):
    assert checked_words(bytes.fromhex(frame)) is not None


@pytest.mark.parametrize("frame", ["01F432 6667A2 5EB93C", "01F433 6667A2 5EB93D", "FF" * 9])
def test_wrong_frames(frame):
    assert checked_words(bytes.fromhex(frame)) is None


def test_before_the_first_result_there_is_no_value_and_no_waiting(make_bench):
    bench = make_bench("scd4x")
    chip = bench.open()
    started_s = bench.clock.now_s
    with pytest.raises(SensorUnavailable, match=r"first .* after the start") as caught:
        chip.read()
    assert caught.value.flag is Flag.NO_ANSWER
    assert bench.clock.now_s - started_s < 0.02
    assert caught.value.ready_in_s == pytest.approx(5.5, abs=0.02)
    bench.clock.now_s = started_s + 5.0
    assert dict(chip.read().values)[Quantity.CO2] == 812.0


def test_a_reading_takes_milliseconds(make_bench):
    bench = make_bench("scd4x")
    chip = bench.open()
    bench.clock.now_s += 60
    bench.clock.slept_s.clear()
    chip.read()
    assert sum(bench.clock.slept_s) < 0.01


def test_one_result_is_one_reading(make_bench):
    bench = make_bench("scd4x")
    chip = bench.open()
    bench.read(chip)
    bench.clock.now_s += 2.0
    with pytest.raises(SensorUnavailable, match=r"no new result for 2\.0 s.*interval_s") as caught:
        chip.read()
    bench.clock.now_s += caught.value.ready_in_s
    assert chip.read().flags == frozenset()


@pytest.mark.parametrize("fault", [Fault.CHECK_FLIPPED, Fault.FLOATING, Fault.STUCK_LOW])
@pytest.mark.parametrize("via", ["simulated", "linux"])
def test_a_spoilt_result_is_lost_and_the_next_is_good(fault, via, make_bench):
    bench = make_bench("scd4x", via)
    chip = bench.open()
    good = bench.read(chip)
    bench.faults.queue(fault, fault)
    for _ in range(2):
        with pytest.raises(SensorUnavailable) as caught:
            bench.read(chip)
        assert caught.value.flag is Flag.CHECK_FAILED
    assert bench.read(chip) == good


def test_a_frame_that_breaks_off_is_lost(make_bench):
    class BreaksOff:
        """The chip, but each fetched result fails on the wire."""

        def __init__(self, chip):
            self._chip = chip

        def write(self, data):
            self._chip.write(data)

        def read(self, count):
            answer = self._chip.read(count)
            if count == 9:
                raise OSError(5, "EIO")
            return answer

    bench = make_bench("scd4x")
    chip = bench.open()
    bench.simulated.wire(1).chips[0x62] = BreaksOff(chip_of(bench))
    with pytest.raises(SensorUnavailable, match="could not be fetched") as caught:
        bench.read(chip)
    assert caught.value.flag is Flag.NO_ANSWER
    assert isinstance(caught.value.__cause__, BusError)


def test_a_result_of_0_ppm_is_none(make_bench):
    bench = make_bench("scd4x")
    chip = bench.open()
    bench.air.become(co2_ppm=0.0)
    with pytest.raises(SensorUnavailable, match="0 ppm") as caught:
        bench.read(chip)
    assert caught.value.flag is Flag.CHECK_FAILED


def test_slow_chip_gives_its_value_later_never_an_old_one(make_bench):
    bench = make_bench("scd4x")
    bench.faults.last(Fault.SLOW)
    chip = bench.open()
    with pytest.raises(SensorUnavailable):
        bench.read(chip)
    bench.air.become(co2_ppm=1500.0)
    assert dict(bench.read(chip).values)[Quantity.CO2] == 1500.0


def test_chip_that_lost_power_is_started_again(make_bench):
    bench = make_bench("scd4x", altitude_m=1950)
    chip = bench.open()
    good = bench.read(chip)
    chip_of(bench).lose_power()
    bench.clock.now_s += 60
    with pytest.raises(SensorUnavailable, match="started again") as caught:
        chip.read()
    assert caught.value.flag is Flag.NO_ANSWER
    assert chip_of(bench).settings[SET_ALTITUDE] == 1950
    assert bench.read(chip) == good


def test_a_short_silence_starts_nothing(make_bench):
    bench = make_bench("scd4x")
    chip = bench.open()
    bench.read(chip)
    bench.faults.last(Fault.STUCK_BUSY)
    bench.clock.slept_s.clear()
    for _ in range(2):
        with pytest.raises(SensorUnavailable, match="no new result"):
            bench.read(chip)
    assert 0.5 not in bench.clock.slept_s


def test_opening_a_chip_that_measures_already(make_bench):
    bench = make_bench("scd4x")
    bench.open()
    bench.clock.now_s += 12
    chip = bench.open()
    with pytest.raises(SensorUnavailable):
        chip.read()  # what the earlier process measured is not taken for a result of this one
    assert dict(bench.read(chip).values)[Quantity.CO2] == 812.0


def test_measuring_chip_refuses_other_commands(make_bench):
    bench = make_bench("scd4x")
    bench.open()
    with pytest.raises(BusError, match="EREMOTEIO"):
        bench.simulated.i2c(1).write(0x62, bytes.fromhex("3682"))


@pytest.mark.parametrize("keys", [{}, {"altitude_m": 1950, "self_calibration": False}])
def test_settings_are_written(keys, make_bench):
    bench = make_bench("scd4x", **keys)
    bench.open()
    assert chip_of(bench).settings == {
        SET_ALTITUDE: keys.get("altitude_m", 0),
        SET_SELF_CALIBRATION: int(keys.get("self_calibration", True)),
    }


def test_bad_serial_number_at_open(make_bench):
    bench = make_bench("scd4x")
    bench.faults.last(Fault.CHECK_FLIPPED)
    with pytest.raises(SensorUnavailable) as caught:
        bench.open()
    assert caught.value.flag is Flag.CHECK_FAILED
