"""BH1750: its arithmetic, darkness, sunlight, and measurements that are not finished."""

import pytest

from contract.quantities import Flag, Quantity
from firmware_bridge.chips import bh1750
from firmware_bridge.errors import SensorUnavailable
from firmware_bridge.simulated import Fault


def lux(bench, chip):
    return dict(bench.read(chip).values)[Quantity.ILLUMINANCE]


@pytest.mark.parametrize(
    ("word", "measurement_time", "illuminance_lx"),
    [
        (0x8390, 69, 28_067.0),  # data sheet, example of the measurement sequence
        (0x0110, 69, 226.7),  # and the second one
        (0xFFFF, 69, 54_612.5),
        (0xFFFF, 31, 121_557.0),
        (0x0000, 69, 0.0),
    ],
)
def test_words(word, measurement_time, illuminance_lx):
    assert bh1750.illuminance_lx(word, measurement_time) == pytest.approx(illuminance_lx, abs=0.5)


def test_waits_the_longest_time(make_bench):
    bench = make_bench("bh1750")
    chip = bench.open()
    bench.clock.slept_s.clear()
    assert lux(bench, chip) == pytest.approx(350.0, abs=0.42)
    assert bench.clock.slept_s == [pytest.approx(0.18)]


def test_darkness_is_read_twice_and_never_the_light_before(make_bench):
    bench = make_bench("bh1750")
    chip = bench.open()
    lux(bench, chip)
    bench.air.become(illuminance_lx=0.0)
    bench.clock.slept_s.clear()
    assert lux(bench, chip) == 0.0
    assert bench.clock.slept_s == [pytest.approx(0.18)] * 2


def test_sunlight_is_measured_with_the_shortest_time(make_bench):
    bench = make_bench("bh1750")
    chip = bench.open()
    bench.air.become(illuminance_lx=100_000.0)
    assert lux(bench, chip) == pytest.approx(100_000.0, abs=0.95)
    bench.air.become(illuminance_lx=120.0)
    assert lux(bench, chip) == pytest.approx(120.0, abs=0.42)


def test_brighter_than_the_chip_can_measure_is_no_value(make_bench):
    bench = make_bench("bh1750")
    chip = bench.open()
    bench.air.become(illuminance_lx=150_000.0)
    with pytest.raises(SensorUnavailable, match="brighter than 121557 lx, or a floating") as caught:
        chip.read()
    assert caught.value.flag is Flag.CHECK_FAILED
    bench.air.become(illuminance_lx=120_000.0)
    assert lux(bench, chip) == pytest.approx(120_000.0, abs=0.95)


def test_slow_in_the_dark_and_in_sunlight(make_bench):
    bench = make_bench("bh1750")
    chip = bench.open()
    bench.faults.last(Fault.SLOW)
    for illuminance_lx in (0.0, 80_000.0, 5.0):
        bench.air.become(illuminance_lx=illuminance_lx)
        assert lux(bench, chip) == pytest.approx(illuminance_lx, abs=0.95)
