"""What every driver must do, on every board that can carry its chip."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import ConfigError
from contract.quantities import Flag, Quantity
from firmware_bridge import chips
from firmware_bridge.errors import SensorFault, SensorUnavailable
from firmware_bridge.simulated import Fault, Weather

I2C = ("bme280", "sht4x")
PULSES = ("dht22",)
CASES = [(name, via) for name in I2C for via in ("simulated", "linux")]
CASES += [(name, "simulated") for name in PULSES]

# The reason that a null reading must carry while a fault lasts.
REASONS = {
    Fault.ABSENT: Flag.NO_ANSWER,
    Fault.STUCK_BUSY: Flag.NO_ANSWER,
    Fault.CHECK_FLIPPED: Flag.CHECK_FAILED,
    Fault.FLOATING: Flag.CHECK_FAILED,
    Fault.STUCK_LOW: Flag.CHECK_FAILED,
    Fault.MISSING_EDGE: Flag.CHECK_FAILED,
}
SPOILING = [
    (name, via, fault)
    for name, via in CASES
    for fault in REASONS
    if not (name == "bme280" and fault in (Fault.CHECK_FLIPPED, Fault.MISSING_EDGE))
    and not (name == "sht4x" and fault is Fault.MISSING_EDGE)
    and not (name == "dht22" and fault is Fault.STUCK_BUSY)
]

# Half a step of what the part resolves (bme280: also the difference of Bosch's two forms), and the
# part's range. bme280 at 1x: 16 bits, see its data sheet 3.4; dht22: tenths; sht4x: 16-bit words.
ACCURACY = {
    "bme280": {"temperature": 0.01, "humidity": 0.05, "pressure": 3.0},
    "sht4x": {"temperature": 0.0014, "humidity": 0.002},
    "dht22": {"temperature": 0.0501, "humidity": 0.0501},
}
RANGES_C = {"bme280": (-40.0, 85.0), "sht4x": (-40.0, 125.0), "dht22": (-40.0, 80.0)}
# At 0 Cel a DHT22's 1 and 2 %RH are taken for the bogus frames that they also are.
DRIEST_PCT = {"bme280": 0.0, "sht4x": 0.0, "dht22": 3.0}


@pytest.fixture(params=CASES, ids="-".join)
def bench(request, make_bench):
    return make_bench(*request.param)


def test_every_driver_is_tried_here():
    assert sorted({name for name, _ in CASES}) == chips.driver_names()


def test_every_fault_is_tried_here(bench):
    tried = {fault for name, _, fault in SPOILING if bench.driver.__name__.endswith(name)}
    assert bench.faults.possible == tried | (bench.faults.possible & {Fault.SLOW, Fault.WRONG_ID})


def test_reads_exactly_its_quantities_in_range(bench):
    sample = bench.open().read()
    assert tuple(quantity for quantity, _ in sample.values) == bench.driver.QUANTITIES
    for quantity, value in sample.values:
        facts = quantity.facts
        assert math.isfinite(value)
        assert facts.low <= value <= facts.high
    assert sample.flags == frozenset()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_reads_only_what_is_configured(case, make_bench):
    for quantity in chips.load(case[0]).QUANTITIES:
        sample = make_bench(*case, quantities=(quantity,)).open().read()
        assert [found for found, _ in sample.values] == [quantity]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_value_survives_the_bytes(case, make_bench):
    bench = make_bench(*case)
    chip = bench.open()
    low_c, high_c = RANGES_C[case[0]]

    @settings(max_examples=150, deadline=None)
    @given(
        st.floats(low_c, high_c),
        st.floats(DRIEST_PCT[case[0]], 100.0),
        st.floats(30_000.0, 110_000.0),
    )
    def law(temperature_c, humidity_pct, pressure_pa):
        bench.air.weather = Weather(
            temperature_c=temperature_c, humidity_pct=humidity_pct, pressure_pa=pressure_pa
        )
        bench.clock.now_s += 3600
        found = dict(chip.read().values)
        wanted = {
            Quantity.TEMPERATURE: temperature_c,
            Quantity.HUMIDITY: humidity_pct,
            Quantity.PRESSURE: pressure_pa,
        }
        for quantity, value in found.items():
            assert abs(value - wanted[quantity]) <= ACCURACY[case[0]][quantity]
        assert found[Quantity.HUMIDITY] <= 100.0

    law()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_saturated_air_does_not_read_above_100(case, make_bench):
    bench = make_bench(*case)
    chip = bench.open()
    for temperature_c in range(-40, 81, 2):
        bench.air.weather = Weather(
            temperature_c=temperature_c, humidity_pct=100.0, pressure_pa=100_000.0
        )
        bench.clock.now_s += 3600
        assert 99.9 < dict(chip.read().values)[Quantity.HUMIDITY] <= 100.0


def test_absent_at_open(bench):
    bench.faults.last(Fault.ABSENT)
    with pytest.raises(SensorUnavailable) as caught:
        bench.open()
    assert caught.value.flag is Flag.NO_ANSWER
    assert caught.value.retryable


@pytest.mark.parametrize(("name", "via", "fault"), SPOILING, ids=str)
def test_lasting_fault_gives_no_value_and_its_end_gives_values_again(name, via, fault, make_bench):
    bench = make_bench(name, via)
    chip = bench.open()
    good = chip.read()
    bench.faults.last(fault)
    for _ in range(2):
        with pytest.raises(SensorUnavailable) as caught:
            chip.read()
        assert caught.value.flag is REASONS[fault]
        assert name in str(caught.value)
    bench.faults.last(None)
    assert chip.read() == good


@pytest.mark.parametrize(("name", "via", "fault"), SPOILING, ids=str)
@pytest.mark.parametrize("times", [1, 2])
def test_passing_fault_is_retried_twice_and_said(name, via, fault, times, make_bench):
    bench = make_bench(name, via)
    chip = bench.open()
    good = chip.read()
    bench.faults.queue(*[fault] * times)
    again = chip.read()
    assert again.values == good.values
    assert again.flags == {Flag.RETRIED}
    assert chip.read() == good


@pytest.mark.parametrize(("name", "via", "fault"), SPOILING, ids=str)
def test_third_failure_is_the_last(name, via, fault, make_bench):
    bench = make_bench(name, via)
    chip = bench.open()
    chip.read()
    bench.faults.queue(fault, fault, fault)
    with pytest.raises(SensorUnavailable) as caught:
        chip.read()
    assert caught.value.flag is REASONS[fault]
    assert chip.read().flags == frozenset()


@pytest.mark.parametrize("via", ["simulated", "linux"])
@pytest.mark.parametrize("name", I2C)
def test_slow_conversion_never_yields_the_old_value(name, via, make_bench):
    bench = make_bench(name, via)
    chip = bench.open()
    chip.read()
    bench.faults.last(Fault.SLOW)
    bench.air.weather = Weather(temperature_c=-7.25, humidity_pct=90.0, pressure_pa=98_000.0)
    found = dict(chip.read().values)
    assert found[Quantity.TEMPERATURE] == pytest.approx(-7.25, abs=0.01)
    assert found[Quantity.HUMIDITY] == pytest.approx(90.0, abs=0.05)


@pytest.mark.parametrize("missing", ["all", "temperature_c", "humidity_pct"])
def test_gap_in_the_recording_is_no_answer(bench, missing):
    chip = bench.open()
    values = {"temperature_c": 20.0, "humidity_pct": 50.0, "pressure_pa": 1e5}
    bench.air.weather = None if missing == "all" else Weather(**(values | {missing: None}))
    with pytest.raises(SensorUnavailable) as caught:
        chip.read()
    assert caught.value.flag is Flag.NO_ANSWER
    bench.air.weather = Weather(**values)
    # The DHT22 first sends what it measured before the gap, so only the pause renews it.
    bench.clock.now_s += 3600
    assert dict(chip.read().values)[Quantity.TEMPERATURE] == pytest.approx(20.0, abs=0.06)


def test_close_twice_is_fine(bench):
    chip = bench.open()
    chip.close()
    chip.close()
    bench.board.close()
    bench.board.close()


@pytest.mark.parametrize("name", chips.driver_names())
@pytest.mark.parametrize(
    "wrong",
    [(), (Quantity.TEMPERATURE, Quantity.TEMPERATURE), ("weight",), "temperature", ["temperature"]],
)
def test_wrong_quantities_are_refused_by_key(name, wrong, make_bench):
    with pytest.raises(ConfigError, match=f"{name}: quantities: .*temperature"):
        make_bench(name, quantities=wrong)


@pytest.mark.parametrize(
    ("name", "key", "wrong"),
    [
        ("bme280", "address", 0x44),
        ("bme280", "bus", -1),
        ("bme280", "bus", True),
        ("bme280", "oversampling", 3),
        ("bme280", "oversampling", True),
        ("sht4x", "address", 0x76),
        ("sht4x", "bus", 1.0),
        ("sht4x", "precision", "highest"),
        ("dht22", "pin", 40),
        ("dht22", "pin", "4"),
        ("dht22", "min_interval_s", 1.0),
        ("dht22", "min_interval_s", math.nan),
        ("dht22", "renew_after_s", 1.0),
    ],
)
def test_wrong_values_are_refused_by_key(name, key, wrong, make_bench):
    with pytest.raises(ConfigError, match=f"{name}: {key}: expected"):
        make_bench(name, **{key: wrong})


def test_unknown_driver_lists_the_known():
    with pytest.raises(ConfigError, match=r"bme281.*bme280, dht22, sht4x"):
        chips.load("bme281")


@pytest.mark.parametrize("path", ["../errors", "os", "bme280.Config", "", "__init__"])
def test_driver_name_reaches_nothing_else(path):
    with pytest.raises(ConfigError):
        chips.load(path)


def test_wrong_chip_is_a_fault():
    assert not SensorFault.retryable
    assert SensorFault("x").flag is Flag.SENSOR_FAULT
