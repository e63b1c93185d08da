"""Sampling: when, and what becomes of a reading or of its absence."""

import logging
import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.blocks import Series
from contract.quantities import Flag, Quality, Quantity
from edge.sensing.sampler import Sampler, Sensor, _next_due
from firmware_bridge.errors import SensorFault, SensorUnavailable

SERIES = (Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1))
AIR = {Quantity.TEMPERATURE: 21.457, Quantity.HUMIDITY: 40.04}


def sensor(dial, name="attic", interval_s=10.0):
    return Sensor(sensor_id=name, interval_s=interval_s, series=SERIES, open=lambda: dial)


def sample(sampler, seconds, phase_s=0.0):
    """What is read at these instants: (second, sensor, values)."""
    return [
        (now_s, m.sensor_id, m.values)
        for now_s in seconds
        for m in sampler.read_due(now_s, lambda now_s=now_s: round(now_s * 1000), phase_s)
    ]


def test_values_are_rounded_to_the_series_decimals(dial):
    (measured,) = Sampler([sensor(dial(AIR))]).read_due(0.0, lambda: 1234, 0.0)
    assert (measured.sensor_id, measured.offset_ms) == ("attic", 1234)
    assert measured.values == (2146, 400)
    assert measured.qualities == ((Quality.GOOD, ()), (Quality.GOOD, ()))


@pytest.mark.parametrize(
    ("humidity_pct", "quality", "flags"),
    [
        (100.0, Quality.GOOD, ()),
        (100.04, Quality.BAD, (Flag.OUT_OF_RANGE,)),
        (-0.04, Quality.BAD, (Flag.OUT_OF_RANGE,)),
        (118.9, Quality.BAD, (Flag.OUT_OF_RANGE,)),
    ],
)
def test_out_of_range_is_sent_as_it_is(dial, humidity_pct, quality, flags):
    sampler = Sampler([sensor(dial({**AIR, Quantity.HUMIDITY: humidity_pct}))])
    (measured,) = sampler.read_due(0.0, lambda: 0, 0.0)
    assert measured.values[1] == round(humidity_pct * 10)
    assert measured.qualities[1] == (quality, flags)
    assert measured.qualities[0] == (Quality.GOOD, ())


def test_readings_fall_on_whole_multiples_of_utc(dial):
    """The monotonic clock began 3.25 s after a whole ten seconds."""
    sampler = Sampler([sensor(dial(AIR))])
    seconds = [step / 4 for step in range(200)]
    assert [s for s, _, _ in sample(sampler, seconds, 1_356_998_403.25)] == [
        0.0, 6.75, 16.75, 26.75, 36.75, 46.75,
    ]  # fmt: skip


@given(
    st.floats(0, 1e7),
    st.sampled_from((0.01, 0.05, 0.1, 0.5, 1.0, 60.0, 3600.0, 86_400.0)),
    st.floats(0, 2e9),
)
@example(0.3, 0.1, 1_356_998_403.2)
@example(1e7, 0.01, 2e9)
def test_the_next_instant_is_aligned_later_and_not_too_far(now_s, interval_s, phase_s):
    due_s = _next_due(now_s, interval_s, phase_s)
    assert now_s < due_s <= now_s + interval_s + min(interval_s / 2, 0.6) + 2e-5
    ratio = (due_s + phase_s) / interval_s
    assert abs(ratio - round(ratio)) * interval_s < 2e-6
    again_s = _next_due(due_s, interval_s, phase_s)  # woken to the very instant
    assert abs(again_s - due_s - interval_s) < 2e-6


@pytest.mark.parametrize("interval_s", [0.01, 0.1, 1.0, 7.0])
def test_each_instant_is_read_once(dial, interval_s):
    """Waking exactly when due, 1000 times: never the same instant twice, none left out."""
    sampler, phase_s, times = Sampler([sensor(dial(AIR), interval_s=interval_s)]), 1.7e9, []
    for _ in range(1000):
        now_s = max(0.0, sampler.next_due_s())
        assert len(sample(sampler, [now_s], phase_s)) == 1
        times.append(now_s)
    gaps = [b - a for a, b in pairwise(times[1:])]
    assert max(abs(gap - interval_s) for gap in gaps) < 1e-6


def test_a_late_tick_skips_what_it_missed(dial):
    sampler = Sampler([sensor(dial(AIR))])
    assert [s for s, _, _ in sample(sampler, [0, 10, 47, 48, 50])] == [0, 10, 47, 50]


def test_a_failing_sensor_is_its_own_affair(dial, caplog):
    """Told once, its recovery once; no value is made up; the other sensor keeps its times."""
    caplog.set_level(logging.INFO)
    broken, fine = dial(AIR), dial(AIR)
    sampler = Sampler([sensor(broken, "roof"), sensor(fine, "attic")])
    sample(sampler, [0])
    broken.now = SensorUnavailable("no answer", flag=Flag.NO_ANSWER)
    rows = sample(sampler, [10, 20, 30])
    assert [r for r in rows if r[1] == "attic"] == [(s, "attic", (2146, 400)) for s in (10, 20, 30)]
    assert [r for r in rows if r[1] == "roof"] == [(s, "roof", (None, None)) for s in (10, 20, 30)]
    broken.now = AIR
    assert (40, "roof", (2146, 400)) in sample(sampler, [40, 50])
    assert [r.getMessage() for r in caplog.records] == [
        "sensor roof: no reading: no answer",
        "sensor roof: readings work again",
    ]
    assert (sampler.samples_total, sampler.failures_total) == (6 * 2 * 2, 3 * 2)


def test_the_reason_stands_with_the_missing_value(dial):
    dead = dial(SensorUnavailable("crc", flag=Flag.CHECK_FAILED))
    (measured,) = Sampler([sensor(dead)]).read_due(0.0, lambda: 0, 0.0)
    assert measured.qualities == ((Quality.BAD, (Flag.CHECK_FAILED,)),) * 2


def test_a_fault_closes_the_chip_and_the_next_reading_opens_it_again(dial):
    chip, opened = dial(AIR), []
    one = sensor(chip)
    one.open = lambda: opened.append(1) or chip
    sampler = Sampler([one])
    sample(sampler, [0])
    chip.now = SensorUnavailable("busy", flag=Flag.NO_ANSWER)
    sample(sampler, [10])
    assert (len(opened), chip.closed_total) == (1, 0)
    chip.now = SensorFault("wrong id")
    sample(sampler, [20])
    chip.now = AIR
    sample(sampler, [30])
    assert (len(opened), chip.closed_total) == (2, 1)
    sampler.close()
    sampler.close()
    assert chip.closed_total == 2


def test_an_opening_that_fails_is_a_failed_reading(dial):
    def absent():
        raise SensorUnavailable("absent", flag=Flag.NO_ANSWER)

    one = sensor(dial(AIR))
    one.open = absent
    assert sample(Sampler([one]), [0]) == [(0, "attic", (None, None))]


def test_the_estimate_of_a_loss(dial):
    sampler = Sampler([sensor(dial(AIR), "a", 10.0), sensor(dial(AIR), "b", 60.0)])
    assert sampler.readings_in(60.0) == 6 * 2 + 1 * 2
    assert sampler.readings_in(59.9) == 5 * 2
    assert (sampler.longest_interval_s, sampler.widest) == (60.0, 2)
    assert sampler.next_due_s() == -math.inf
