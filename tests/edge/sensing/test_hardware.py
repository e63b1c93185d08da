"""From a configuration and a recording to readings, through drivers and simulated chips."""

import math

import pytest

from contract.quantities import Flag, Quality
from edge.clock import VirtualClock
from edge.configuration.config import parse_config
from edge.sensing.hardware import board_for, sensors_for
from edge.sensing.sampler import Sampler

START_MS = 1_790_000_000_000
SENSORS = (
    {"id": "office", "driver": "scd4x", "interval_s": 10},
    {"id": "window", "driver": "bh1750", "interval_s": 10},
    {"id": "battery", "driver": "ina219", "interval_s": 10},
    {"id": "door", "driver": "digital_input", "interval_s": 10, "options": {"pin": 27}},
)


@pytest.fixture
def sampler(tmp_path):
    recording = tmp_path / "home.csv"
    recording.write_text(
        "at_ms,contact,co2_ppm,voltage_v,illuminance_lx,humidity_pct,temperature_c\n"
        f"{START_MS},1,812,12.84,350,48,21.5\n"
        f"{START_MS + 60_000},0,1400,,90000,48,21.5\n"
    )
    tables = {
        "device_id": "gw-1",
        "outbox": {"path": str(tmp_path / "outbox.db")},
        "board": {"kind": "simulated", "recording": str(recording)},
        "sensor": list(SENSORS),
    }
    config = parse_config(tables, "gateway.toml", tmp_path)
    clock = VirtualClock(START_MS, START_MS + 600_000, lambda _: None)
    board = board_for(config, clock)
    yield clock, Sampler(sensors_for(config, board, clock))
    board.close()


def readings(clock, sampler, at_s):
    """Value in its unit, quality and flags of each signal, of a round at that second."""
    clock.sleep_s(max(0.0, at_s - clock.monotonic_s()))
    found = {}
    for measured in sampler.read_due(clock.monotonic_s(), lambda: 0, START_MS / 1000):
        for series, value, quality in zip(
            measured.series, measured.values, measured.qualities, strict=True
        ):
            shown = math.nan if value is None else value / 10**series.decimals
            found[f"{measured.sensor_id}/{series.quantity}"] = (shown, *quality)
    return found


def test_the_quantities_of_a_home_become_readings(sampler):
    clock, rounds = sampler
    readings(clock, rounds, 0.0)  # opens the sensors
    found = readings(clock, rounds, 20.0)
    assert {name: value for name, (value, _, _) in found.items()} == {
        "office/co2": 812,
        "office/temperature": 21.5,
        "office/humidity": 48.0,
        "window/illuminance": 350,
        "battery/voltage": 12.84,
        "door/contact": 1,
    }
    assert {quality for _, quality, _ in found.values()} == {Quality.GOOD}


def test_an_unknown_value_silences_only_its_chip(sampler):
    clock, rounds = sampler
    readings(clock, rounds, 0.0)
    found = readings(clock, rounds, 70.0)
    assert found["door/contact"] == (0, Quality.GOOD, ())
    assert found["office/co2"][0] == 1400
    assert found["window/illuminance"][0] == pytest.approx(90_000, abs=1)
    assert found["battery/voltage"][1:] == (Quality.BAD, (Flag.NO_ANSWER,))


def test_before_its_first_result_a_chip_has_no_value_and_the_others_do(sampler):
    clock, rounds = sampler
    found = readings(clock, rounds, 0.0)
    assert found["office/co2"][1:] == (Quality.BAD, (Flag.NO_ANSWER,))
    assert found["door/contact"] == (1, Quality.GOOD, ())
    assert clock.monotonic_s() < 1.5  # nothing waits for the chip's 5 s
