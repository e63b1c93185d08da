"""Slow faults are found by comparing signals, and the right one is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.quality.causal import causal_spans
from cloud.quality.days import Days, days_of
from cloud.quality.neighbours import neighbours
from cloud.quality.past import DAY_MS
from cloud.quality.retrospective import compared
from cloud.quality.spans import Fault, Found, Span, spans_of, unfit_in
from contract.signals import Signal
from models.derived import dew_point_c
from models.replay import Readings

FIRST = 15_706  # 2013-01-01, days since 1970
HUMIDITY = Signal.parse("air/humidity")
TEMPERATURE = Signal.parse("air/temperature")
PRESSURE = Signal.parse("roof/pressure")


def fleet(seed=1, names="abcd", count=360, least=None):
    """Pressure of some sites in one weather: each has its level and its own small weather."""
    draw = np.random.default_rng(seed)
    weather = 800 * np.sin(np.arange(count) / 3 + draw.uniform(0, 6)) + np.cumsum(
        draw.normal(0, 100, count)
    )
    values = {
        n: 101_300 + 10 * i + weather + draw.normal(0, 15, count) for i, n in enumerate(names)
    }
    for name, change in (least or {}).items():
        values[name] = change(values[name])
    return values


def days_of_fleet(values, signal=PRESSURE):
    nothing = np.full(len(next(iter(values.values()))), np.nan)
    days = FIRST + np.arange(len(nothing))
    return [Days(name, signal, days, own, nothing) for name, own in values.items()]


def drifting(rate, first):
    return lambda own: own + rate * np.maximum(0, np.arange(len(own)) - first)


def found_in(values):
    return compared(days_of_fleet(values)).spans


@given(seed=st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_healthy_sites_have_no_slow_fault(seed):
    assert found_in(fleet(seed)) == ()


@pytest.mark.parametrize("rate", [-4.0, 4.0])
def test_the_sensor_that_drifts_is_named_and_no_neighbour(rate):
    spans = found_in(fleet(least={"b": drifting(rate, 150)}))
    assert {(s.device_id, s.span.fault) for s in spans if s.span.fault is Fault.DRIFT} == {
        ("b", Fault.DRIFT)
    }
    (drift,) = [s.span for s in spans if s.span.fault is Fault.DRIFT]
    begin = drift.begin_ms // DAY_MS - FIRST
    assert (
        150 < begin < 150 + 40
    )  # 100 Pa, the smallest drift that counts, is reached after 25 days
    assert drift.known_ms // DAY_MS - FIRST < 150 + 60
    assert np.sign(drift.figure) == np.sign(rate)
    assert {s.device_id for s in spans} == {"b"}


def test_a_repaired_sensor_is_trusted_again():
    def for_a_while(own):
        gone = drifting(4.0, 100)(own)
        gone[200:] = own[200:]
        return gone

    (drift,) = [
        s.span for s in found_in(fleet(least={"b": for_a_while})) if s.span.fault is Fault.DRIFT
    ]
    assert 195 <= drift.end_ms // DAY_MS - FIRST <= 205


def test_a_sensor_cannot_get_used_to_its_drift_for_half_a_year():
    (drift,) = [
        s.span
        for s in found_in(fleet(count=500, least={"b": drifting(3.0, 100)}))
        if s.span.fault is Fault.DRIFT and s.span.begin_ms // DAY_MS - FIRST < 160
    ]
    assert (drift.end_ms - drift.begin_ms) / DAY_MS > 180


def test_a_day_far_from_all_others_disagrees():
    def one_day(own):
        own[200:203] += 900
        return own

    (one,) = found_in(fleet(least={"c": one_day}))
    assert (one.device_id, one.span.fault) == ("c", Fault.DISAGREES)
    assert one.span.begin_ms == (FIRST + 200) * DAY_MS
    assert one.span.end_ms == (FIRST + 203) * DAY_MS - 1
    assert one.span.figure == pytest.approx(900, abs=60)


def test_two_sites_accuse_each_other_and_the_worst_is_taken_out_first():
    spans = found_in(fleet(names="ab", least={"b": drifting(4.0, 150)}))
    assert len({s.device_id for s in spans}) == 1  # one of them; no third can decide


def test_sites_in_other_weather_are_no_neighbours():
    here, there = fleet(seed=1, names="ab"), fleet(seed=2, names="cd")
    close = neighbours(np.stack([*here.values(), *there.values()]))
    assert close.tolist() == [
        [False, True, False, False],
        [True, False, False, False],
        [False, False, False, True],
        [False, False, True, False],
    ]


def test_without_neighbours_a_year_before_is_the_evidence():
    draw = np.random.default_rng(4)
    count = 3 * 364
    season = 2000 * np.sin(2 * np.pi * np.arange(count) / 364)
    own = 101_300 + season + draw.normal(0, 60, count)
    alone = compared(days_of_fleet({"a": own}))
    assert alone.spans == ()
    (standing,) = alone.standings
    assert standing.neighbours_total == 0
    assert 0 < standing.limits < 1
    spans = found_in({"a": drifting(8.0, 900)(own)})
    (drift, *_) = [s for s in spans if s.span.fault is Fault.DRIFT]
    assert 900 < drift.span.begin_ms // DAY_MS - FIRST < 960


def test_in_its_first_year_a_lonely_signal_has_no_evidence():
    (standing,) = compared(days_of_fleet({"a": fleet()["a"]})).standings
    assert standing.limits is None


def test_nothing_is_compared_with_nothing():
    empty = np.zeros(0)
    lost = Days("a", PRESSURE, empty.astype(np.int64), empty, empty)
    assert compared([]).spans == compared([lost]).spans == ()


def test_days_are_means_of_hours_and_dew_points_need_both_signals():
    hour = np.arange(48, dtype=np.int64) * 3_600_000
    at_ms = np.repeat(hour, 3)  # two of the humidity in each hour
    signals = [HUMIDITY, HUMIDITY, TEMPERATURE] * 48
    values = np.tile([40.0, 60.0, 20.0], 48)
    at_ms[1::3] += 1
    readings = Readings.of_rows(signals, at_ms, values)
    damp, warm = days_of("gw", readings, [])
    assert damp.days.tolist() == warm.days.tolist() == [0, 1]
    assert damp.means.tolist() == [50.0, 50.0]
    assert damp.dew_points == pytest.approx(dew_point_c(20.0, 50.0))
    assert np.isnan(warm.dew_points).all()


def test_a_day_with_few_hours_and_unfit_readings_have_no_figure():
    at_ms = np.arange(11, dtype=np.int64) * 3_600_000
    readings = Readings.of_rows([TEMPERATURE] * 11, at_ms, np.full(11, 20.0))
    (own,) = days_of("gw", readings, [])
    assert np.isnan(own.means).all()
    at_ms = np.arange(24, dtype=np.int64) * 3_600_000
    values = np.full(24, 20.0)
    values[3] = 99.0
    span = Span(
        signal=TEMPERATURE,
        fault=Fault.SPIKE,
        begin_ms=3 * 3_600_000,
        end_ms=3 * 3_600_000,
        known_ms=0,
        figure=79.0,
    )
    readings = Readings.of_rows([TEMPERATURE] * 24, at_ms, values)
    (own,) = days_of("gw", readings, [span])
    assert own.means.tolist() == [20.0]


intervals = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=6)


@given(spans=intervals, asked=intervals)
def test_overlaps_are_those_of_the_definition(spans, asked):
    made = [
        Span(signal=PRESSURE, fault=Fault.JUMP, begin_ms=a, end_ms=a + n, known_ms=a, figure=1.0)
        for a, n in spans
    ]
    begins = np.array([a for a, _ in asked], np.int64)
    ends = np.array([a + n for a, n in asked], np.int64)
    expected = [any(s.begin_ms <= a + n and s.end_ms >= a for s in made) for a, n in asked]
    assert unfit_in(made, begins, ends).tolist() == expected


def test_near_rows_are_one_span():
    figure = np.array([np.nan, 3.0, np.nan, 5.0, np.nan, np.nan, np.nan, 4.0])
    at_ms = np.arange(8, dtype=np.int64) * 10
    found = spans_of(PRESSURE, Fault.SPIKE, at_ms, Found(figure, at_ms + 1))
    assert [(s.begin_ms, s.end_ms, s.known_ms, s.figure) for s in found] == [
        (10, 30, 11, 5.0),
        (70, 70, 71, 4.0),
    ]


@pytest.mark.parametrize("rate_pct", [-0.1, 0.1])
def test_humidity_that_drifts_a_tenth_per_day_is_found_in_a_real_year(year, rate_pct):
    """The three airports are neighbours; the drift begins in July."""
    rows = year["lga"].are((HUMIDITY,))
    at_ms = year["lga"].at_ms
    begin_ms = int(at_ms[0]) + 180 * DAY_MS
    error = np.where(rows, rate_pct * np.maximum(0, at_ms - begin_ms) / DAY_MS, 0)
    values = np.where(rows, np.clip(year["lga"].values + error, 0, 100), year["lga"].values)
    changed = Readings(year["lga"].signals, year["lga"].codes, at_ms, values)
    every = {**year, "lga": changed}
    days = [d for name, own in every.items() for d in days_of(name, own, causal_spans(own))]
    drifts = [s for s in compared(days).spans if s.span.fault is Fault.DRIFT]
    assert {(s.device_id, s.span.signal) for s in drifts} == {("lga", HUMIDITY)}
    assert drifts[0].span.known_ms < begin_ms + 90 * DAY_MS
