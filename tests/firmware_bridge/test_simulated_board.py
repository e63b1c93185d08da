"""The simulated board: places, conflicts, outputs, faults that a chip cannot show."""

import pytest

from contract.errors import ConfigError
from contract.quantities import Quantity
from firmware_bridge.board import Pull
from firmware_bridge.chips import bme280, dht22, sht4x
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.simulated import Fault, RecordingFeed, SimulatedBoard, TrueValues, WaveFeed


def test_nothing_plugged_in(simulated, clock):
    with pytest.raises(BusError, match=r"i2c-3 address 0x76: EREMOTEIO"):
        simulated.i2c(3).write_read(0x76, b"\xd0", 1)
    for driver, config in (
        (bme280, bme280.Config()),
        (sht4x, sht4x.Config()),
        (dht22, dht22.Config(pin=4)),
    ):
        with pytest.raises(SensorUnavailable):
            driver.open(config, simulated, clock)


def test_chips_are_found_where_they_were_plugged_in(simulated, clock, air):
    high = bme280.Config(bus=3, address=0x77)
    simulated.plug(high, air)
    assert bme280.open(high, simulated, clock).read().values
    for other in (bme280.Config(bus=3), bme280.Config(address=0x77)):
        with pytest.raises(SensorUnavailable):
            bme280.open(other, simulated, clock)


def test_one_address_holds_one_kind_of_chip(simulated, air):
    simulated.plug(sht4x.Config(), air)
    simulated.wire(1).chips[0x76] = simulated.wire(1).chips[0x44]
    with pytest.raises(ConfigError, match="0x76 holds a SimulatedSht4x"):
        simulated.plug(bme280.Config(), air)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (bme280.Config(), "i2c-1 address 0x76"),
        (sht4x.Config(), "i2c-1 address 0x44"),
        (dht22.Config(pin=4), "pin 4"),
    ],
)
def test_one_chip_measures_one_feed(config, place, simulated, air):
    assert simulated.plug(config, air) is simulated.plug(config, air)
    with pytest.raises(ConfigError, match=f"{place} has another feed"):
        simulated.plug(config, WaveFeed())


def test_only_drivers_configs_can_be_plugged(simulated, air):
    for config in ("bme280", Fault.ABSENT):
        with pytest.raises(ConfigError, match="no simulated chip"):
            simulated.plug(config, air)


def test_impossible_faults_are_refused(simulated, air):
    faults = simulated.plug(sht4x.Config(), air)
    with pytest.raises(ValueError, match="missing_edge"):
        faults.last(Fault.MISSING_EDGE)
    with pytest.raises(ValueError, match="wrong_id"):
        faults.queue(Fault.ABSENT, Fault.WRONG_ID)


def test_outputs(simulated):
    assert not simulated.is_on(17)
    lamp = simulated.output(17)
    assert not simulated.is_on(17)
    lamp.set(True)
    assert simulated.is_on(17)
    assert simulated.output(17) is lamp
    simulated.output(18).set(True)
    lamp.close()
    assert not simulated.is_on(17)
    simulated.close()
    assert not simulated.is_on(18)


@pytest.mark.parametrize(("pull", "level"), [("up", True), ("down", False), ("none", False)])
def test_open_input_is_where_its_resistor_pulls_it(pull, level, simulated):
    assert simulated.input(27, Pull(pull)).is_high() is level


def test_a_month_of_recording_comes_back(clock):
    hours = range(24 * 30)
    start_ms = round(clock.wall_s()) * 1000
    rows = [
        {Quantity.HUMIDITY: 40 + hour % 61, Quantity.PRESSURE: 99_000 + hour * 5.0}
        | ({} if hour % 50 == 49 else {Quantity.TEMPERATURE: -5 + hour % 37 / 3})
        for hour in hours
    ]
    feed = RecordingFeed(
        [start_ms + hour * 3_600_000 for hour in hours], map(TrueValues, rows), max_age_s=3599
    )
    board = SimulatedBoard(clock=clock, wall_s=clock.wall_s)
    configs = (bme280.Config(), sht4x.Config(), dht22.Config(pin=4))
    for config in configs:
        board.plug(config, feed)
    drivers = (bme280, sht4x, dht22)
    sensors = [d.open(c, board, clock) for d, c in zip(drivers, configs, strict=True)]
    started_s = clock.now_s
    silent_total = 0
    for hour in hours:
        clock.now_s = max(clock.now_s, started_s + hour * 3600)
        for chip in sensors:
            try:
                found = dict(chip.read().values)
            except SensorUnavailable:
                silent_total += 1
                assert Quantity.TEMPERATURE not in rows[hour]
                continue
            for quantity in (Quantity.TEMPERATURE, Quantity.HUMIDITY):
                assert found[quantity] == pytest.approx(rows[hour][quantity], abs=0.051)
    assert silent_total == 3 * 14
