"""What every driver must do, on every board that can carry its chip."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import ConfigError
from contract.quantities import Flag, Quantity
from firmware_bridge import chips
from firmware_bridge.errors import SensorFault, SensorUnavailable
from firmware_bridge.simulated import Fault

BOTH = ("bh1750", "bme280", "digital_input", "ina219", "scd4x", "sht4x")
SIMULATED_ONLY = ("dht22",)
CASES = [(name, via) for name in BOTH for via in ("simulated", "linux")]
CASES += [(name, "simulated") for name in SIMULATED_ONLY]

# The reason that a null reading must carry while a fault lasts.
REASONS = {
    Fault.ABSENT: Flag.NO_ANSWER,
    Fault.STUCK_BUSY: Flag.NO_ANSWER,
    Fault.CHECK_FLIPPED: Flag.CHECK_FAILED,
    Fault.FLOATING: Flag.CHECK_FAILED,
    Fault.STUCK_LOW: Flag.CHECK_FAILED,
    Fault.UNSTEADY: Flag.CHECK_FAILED,
    Fault.MISSING_EDGE: Flag.CHECK_FAILED,
}
BUS_FAULTS = {Fault.ABSENT, Fault.STUCK_BUSY, Fault.FLOATING, Fault.STUCK_LOW}
# The faults that cost each driver a value; what a chip cannot show is not there to be told apart.
SPOILED_BY = {
    "bh1750": {Fault.ABSENT, Fault.FLOATING},
    "bme280": BUS_FAULTS,
    "dht22": {*BUS_FAULTS, Fault.CHECK_FLIPPED, Fault.MISSING_EDGE} - {Fault.STUCK_BUSY},
    "digital_input": {Fault.ABSENT, Fault.UNSTEADY},
    "ina219": BUS_FAULTS,
    "scd4x": {*BUS_FAULTS, Fault.CHECK_FLIPPED},
    "sht4x": {*BUS_FAULTS, Fault.CHECK_FLIPPED},
}
SPOILING = [
    (name, via, fault) for name, via in CASES for fault in REASONS if fault in SPOILED_BY[name]
]
# An scd4x gives a result once, so a spoilt one is lost (test_scd4x.py).
RETRIED = [
    (name, via, fault) for name, via, fault in SPOILING if name != "scd4x" or fault is Fault.ABSENT
]
# Chips that a driver can wait for although they are slower than they may be.
WAITED_FOR = [case for case in CASES if case[0] in ("bh1750", "bme280", "ina219", "sht4x")]

T, H, P = Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.PRESSURE
# Half a step of what the part resolves (bme280: also the difference of Bosch's two forms).
# bme280 at 1x: 16 bits, see its data sheet 3.4; dht22: tenths; sht4x and scd4x: 16-bit words.
ACCURACY = {
    "bh1750": {Quantity.ILLUMINANCE: 0.95},  # above 54 612 lx its steps are 1.86 lx
    "bme280": {T: 0.01, H: 0.05, P: 3.0},
    "dht22": {T: 0.0501, H: 0.0501},
    "digital_input": {Quantity.CONTACT: 0.0},
    "ina219": {Quantity.VOLTAGE: 0.00201},
    "scd4x": {Quantity.CO2: 0.5, T: 0.0014, H: 0.0016},
    "sht4x": {T: 0.0014, H: 0.002},
}
# What the part measures. At 0 Cel a DHT22's 1 and 2 %RH are taken for the bogus frames that they
# also are; an SCD4x's 0 ppm is no result.
RANGES = {
    "bh1750": {Quantity.ILLUMINANCE: st.floats(0.0, 121_000.0)},
    "bme280": {T: st.floats(-40, 85), H: st.floats(0, 100), P: st.floats(30_000, 110_000)},
    "dht22": {T: st.floats(-40, 80), H: st.floats(3, 100)},
    "digital_input": {Quantity.CONTACT: st.sampled_from((0.0, 1.0))},
    "ina219": {Quantity.VOLTAGE: st.floats(0, 26)},
    "scd4x": {Quantity.CO2: st.floats(1, 40_000), T: st.floats(-10, 60), H: st.floats(0, 100)},
    "sht4x": {T: st.floats(-40, 125), H: st.floats(0, 100)},
}


@pytest.fixture(params=CASES, ids="-".join)
def bench(request, make_bench):
    return make_bench(*request.param)


def test_every_driver_is_tried_here():
    assert sorted({name for name, _ in CASES}) == chips.driver_names()
    for name in chips.driver_names():
        assert set(ACCURACY[name]) == set(RANGES[name]) == set(chips.load(name).QUANTITIES)


def test_every_fault_is_tried_here(bench):
    assert bench.faults.possible - {Fault.SLOW, Fault.WRONG_ID} == SPOILED_BY[bench.name]


def test_reads_exactly_its_quantities_in_range(bench):
    sample = bench.read(bench.open())
    assert tuple(quantity for quantity, _ in sample.values) == bench.driver.QUANTITIES
    for quantity, value in sample.values:
        facts = quantity.facts
        assert math.isfinite(value)
        assert facts.low <= value <= facts.high
    assert sample.flags == frozenset()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_reads_only_what_is_configured(case, make_bench):
    for quantity in chips.load(case[0]).QUANTITIES:
        bench = make_bench(*case, quantities=(quantity,))
        sample = bench.read(bench.open())
        assert [found for found, _ in sample.values] == [quantity]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_value_survives_the_bytes(case, make_bench):
    bench = make_bench(*case)
    chip = bench.open()

    @settings(max_examples=150, deadline=None)
    @given(st.fixed_dictionaries(RANGES[case[0]]))
    def law(wanted):
        bench.air.become(**{q.facts.column: value for q, value in wanted.items()})
        bench.clock.now_s += 3600
        found = dict(bench.read(chip).values)
        assert set(found) == set(wanted)
        for quantity, value in found.items():
            assert abs(value - wanted[quantity]) <= ACCURACY[case[0]][quantity]
        assert found.get(Quantity.HUMIDITY, 0.0) <= 100.0

    law()


@pytest.mark.parametrize("case", [case for case in CASES if H in RANGES[case[0]]], ids="-".join)
def test_saturated_air_does_not_read_above_100(case, make_bench):
    bench = make_bench(*case)
    chip = bench.open()
    for temperature_c in range(-40, 81, 2):
        bench.air.become(temperature_c=temperature_c, humidity_pct=100.0, pressure_pa=100_000.0)
        bench.clock.now_s += 3600
        assert 99.9 < dict(bench.read(chip).values)[Quantity.HUMIDITY] <= 100.0


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
    good = bench.read(chip)
    bench.faults.last(fault)
    for _ in range(2):
        with pytest.raises(SensorUnavailable) as caught:
            bench.read(chip)
        assert caught.value.flag is REASONS[fault]
        assert name in str(caught.value)
    bench.faults.last(None)
    assert bench.read(chip) == good


@pytest.mark.parametrize(("name", "via", "fault"), RETRIED, ids=str)
@pytest.mark.parametrize("times", [1, 2])
def test_passing_fault_is_retried_twice_and_said(name, via, fault, times, make_bench):
    bench = make_bench(name, via)
    chip = bench.open()
    good = bench.read(chip)
    bench.faults.queue(*[fault] * times)
    again = bench.read(chip)
    assert again.values == good.values
    assert again.flags == {Flag.RETRIED}
    assert bench.read(chip) == good


@pytest.mark.parametrize(("name", "via", "fault"), RETRIED, ids=str)
def test_third_failure_is_the_last(name, via, fault, make_bench):
    bench = make_bench(name, via)
    chip = bench.open()
    bench.read(chip)
    bench.faults.queue(fault, fault, fault)
    with pytest.raises(SensorUnavailable) as caught:
        bench.read(chip)
    assert caught.value.flag is REASONS[fault]
    assert bench.read(chip).flags == frozenset()


@pytest.mark.parametrize("case", WAITED_FOR, ids="-".join)
def test_slow_conversion_never_yields_the_old_value(case, make_bench):
    bench = make_bench(*case)
    chip = bench.open()
    bench.read(chip)
    bench.faults.last(Fault.SLOW)
    changed = {T: -7.25, H: 90.0, P: 98_000.0, Quantity.ILLUMINANCE: 4000.0, Quantity.VOLTAGE: 3.3}
    bench.air.become(**{q.facts.column: value for q, value in changed.items()})
    for quantity, value in bench.read(chip).values:
        assert value == pytest.approx(changed[quantity], abs=ACCURACY[case[0]][quantity])


def test_gap_in_the_recording_is_no_answer(bench):
    chip = bench.open()
    for missing in (None, *bench.driver.QUANTITIES):
        if missing is None:
            bench.air.values = None
        else:
            bench.air.become(**{missing.facts.column: None})
        with pytest.raises(SensorUnavailable) as caught:
            bench.read(chip)
        assert caught.value.flag is Flag.NO_ANSWER
        bench.air.become()
        # The DHT22 first sends what it measured before the gap, so only the pause renews it.
        bench.clock.now_s += 3600
        assert bench.read(chip).flags == frozenset()


def test_close_twice_is_fine(bench):
    chip = bench.open()
    chip.close()
    chip.close()
    bench.board.close()
    bench.board.close()


@pytest.mark.parametrize("name", chips.driver_names())
@pytest.mark.parametrize(
    "wrong",
    [(), (T, T), (Quantity.CO2, Quantity.CO2), ("weight",), "temperature", ["temperature"]],
)
def test_wrong_quantities_are_refused_by_key(name, wrong, make_bench):
    known = chips.load(name).QUANTITIES[0]
    with pytest.raises(ConfigError, match=f"{name}: quantities: .*{known}"):
        make_bench(name, quantities=wrong)


@pytest.mark.parametrize(
    ("name", "key", "wrong"),
    [
        ("bh1750", "address", 0x24),
        ("bme280", "address", 0x44),
        ("bme280", "bus", -1),
        ("bme280", "bus", True),
        ("bme280", "oversampling", 3),
        ("bme280", "oversampling", True),
        ("sht4x", "address", 0x76),
        ("sht4x", "bus", 1.0),
        ("sht4x", "precision", "highest"),
        ("ina219", "address", 0x3F),
        ("ina219", "range_v", 26),
        ("scd4x", "altitude_m", -1),
        ("scd4x", "altitude_m", 12.5),
        ("scd4x", "self_calibration", 1),
        ("digital_input", "pin", 28),
        ("digital_input", "pull", "sideways"),
        ("digital_input", "closed_level", "closed"),
        ("digital_input", "debounce_ms", 0),
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
    with pytest.raises(ConfigError, match=r"bme281.*bme280, .*sht4x"):
        chips.load("bme281")


@pytest.mark.parametrize("path", ["../errors", "os", "bme280.Config", "", "__init__"])
def test_driver_name_reaches_nothing_else(path):
    with pytest.raises(ConfigError):
        chips.load(path)


def test_wrong_chip_is_a_fault():
    assert not SensorFault.retryable
    assert SensorFault("x").flag is Flag.SENSOR_FAULT
