"""Each detector finds its fault, leaves weather alone, and uses nothing that comes later."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.quality.causal import DETECTORS
from cloud.quality.implausible import implausible
from cloud.quality.past import DAY_MS, LOOK_BACK_DAYS, Series
from cloud.quality.spans import Fault
from cloud.quality.stuck import LEAST_MS
from contract.quantities import Quantity

HOUR = 3_600_000
ROW = 1000  # the forty-second day: more than the look-back is known


def changed(series, rows, values):
    new = series.values.copy()
    new[rows] = values
    return Series(series.quantity, series.at_ms, new)


def unfit_rows(fault, series):
    return np.flatnonzero(DETECTORS[fault](series).unfit).tolist()


@pytest.mark.parametrize("fault", list(DETECTORS))
@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_sensor_has_no_fault(made, fault, seed):
    assert unfit_rows(fault, made(seed=seed)) == []


def test_a_stuck_value_is_found_from_its_first_reading(made):
    series = made()
    found = DETECTORS[Fault.STUCK](changed(series, slice(ROW, ROW + 48), series.values[ROW]))
    rows = np.flatnonzero(found.unfit)
    assert rows.tolist() == list(range(ROW, ROW + 48))
    assert set(found.figure[rows]) == {47.0}  # hours
    # Nothing can be known before the value has been the same for the shortest time that counts.
    assert found.known_ms[rows].min() >= series.at_ms[ROW] + LEAST_MS
    assert (found.known_ms[rows] >= series.at_ms[rows]).all()


def test_saturated_air_is_weather(made):
    series = made(quantity=Quantity.HUMIDITY)
    assert unfit_rows(Fault.STUCK, changed(series, slice(ROW, ROW + 48), 100.0)) == []
    assert len(unfit_rows(Fault.STUCK, changed(series, slice(ROW, ROW + 48), 87.3))) == 48


def test_a_coarse_sensor_in_a_calm_cellar_is_constant_for_hours(made):
    series = made(step_ms=600_000)
    slow = np.round(10 + np.sin(2 * np.pi * series.at_ms / (20 * DAY_MS)), 1)
    cellar = Series(series.quantity, series.at_ms, slow)
    assert np.diff(np.flatnonzero(np.diff(slow))).max() > 200  # constant for more than 33 h
    assert unfit_rows(Fault.STUCK, cellar) == []
    row = 6 * 24 * 40
    broken = changed(cellar, slice(row, len(slow)), slow[row])
    assert len(unfit_rows(Fault.STUCK, broken)) >= len(slow) - row


def test_a_gap_is_not_a_constant_value(made):
    series = made()
    kept = np.r_[0:ROW, ROW + 60 : len(series)]
    values = series.values.copy()
    values[ROW + 60] = values[ROW - 1]
    gap = Series(series.quantity, series.at_ms[kept], values[kept])
    assert unfit_rows(Fault.STUCK, gap) == []


@pytest.mark.parametrize("height", [-9.0, 9.0])
def test_a_spike_is_found_after_two_more_readings(made, height):
    series = made()
    found = DETECTORS[Fault.SPIKE](changed(series, ROW, series.values[ROW] + height))
    assert np.flatnonzero(found.unfit).tolist() == [ROW]
    assert found.known_ms[ROW] == series.at_ms[ROW + 2]
    assert found.figure[ROW] == pytest.approx(abs(height), abs=1.5)


def test_a_fast_rise_is_no_spike(made):
    series = made()
    rise = series.values.copy()
    rise[ROW : ROW + 5] += [5, 10, 15, 20, 25]
    rise[ROW + 5 :] += 25
    assert unfit_rows(Fault.SPIKE, changed(series, slice(None), rise)) == []


def test_a_jump_is_found_where_the_level_changes(made):
    series = made()
    assert unfit_rows(Fault.JUMP, changed(series, slice(ROW, None), series.values[ROW:] + 8)) == [
        ROW
    ]
    assert unfit_rows(Fault.JUMP, changed(series, ROW, series.values[ROW] + 8)) == []  # a spike


def test_noise_is_found_and_a_spike_is_none(made):
    series, draw = made(), np.random.default_rng(5)
    noisy = changed(
        series, slice(ROW, ROW + 100), series.values[ROW : ROW + 100] + draw.normal(0, 2, 100)
    )
    rows = unfit_rows(Fault.NOISE, noisy)
    assert len(rows) > 80
    assert min(rows) > ROW
    assert max(rows) < ROW + 100 + 24
    assert unfit_rows(Fault.NOISE, changed(series, ROW, 99.0)) == []


@pytest.mark.parametrize(
    ("temperature_c", "humidity_pct", "unfit"),
    [
        (-40.0, 0.0, True),  # an HDC or a BME280 that answers with zeros
        (-45.0, 0.0, True),  # an SHT4x: -45 + 175 * 0 / 65535
        (130.0, 100.0, True),  # an SHT4x that answers with ones, humidity clipped at 100
        (40.0, 0.4, False),  # a drying box
        (-20.0, 60.0, False),
        (46.0, 100.0, False),  # a steam bath
        (90.0, 20.0, False),  # a sauna: its dew point is 53
    ],
)
def test_pairs_that_air_cannot_have(temperature_c, humidity_pct, unfit):
    at_ms = np.array([0, HOUR], np.int64)
    pair = (
        Series(Quantity.TEMPERATURE, at_ms, np.array([20.0, temperature_c])),
        Series(Quantity.HUMIDITY, at_ms, np.array([50.0, humidity_pct])),
    )
    for found in implausible(*pair):
        assert found.unfit.tolist() == [False, unfit]


def test_a_pair_needs_one_instant():
    warm = Series(Quantity.TEMPERATURE, np.array([0], np.int64), np.array([-40.0]))
    damp = Series(Quantity.HUMIDITY, np.array([1], np.int64), np.array([0.0]))
    assert not any(found.unfit.any() for found in implausible(warm, damp))


@pytest.mark.parametrize("fault", list(DETECTORS))
@pytest.mark.parametrize("length", range(5))
def test_a_short_series_is_not_judged(fault, length):
    series = Series(
        Quantity.HUMIDITY, np.arange(length, dtype=np.int64) * HOUR, np.arange(length) * 30.0
    )
    assert len(DETECTORS[fault](series).figure) == length
    assert unfit_rows(fault, series) == []


# --- laws ----------------------------------------------------------------------------------------

faults = st.lists(
    st.tuples(
        st.integers(0, 1439),
        st.sampled_from([1, 3, 20, 60]),
        st.sampled_from(["stuck", "high", "noise", "gap"]),
    ),
    max_size=5,
)


def damaged(series, places, seed):
    draw, values = np.random.default_rng(seed), series.values.copy()
    kept = np.ones(len(series), np.bool_)
    for row, count, what in places:
        rows = slice(row, row + count)
        if what == "stuck":
            values[rows] = values[row]
        elif what == "high":
            values[rows] += 10
        elif what == "noise":
            values[rows] += draw.normal(0, 3, len(values[rows]))
        else:
            kept[rows] = False
    return Series(series.quantity, series.at_ms[kept], np.round(values[kept], 2))


def known(found, at_ms, by_ms):
    """The unfit readings that can be known by an instant, with their instants."""
    rows = np.flatnonzero(found.unfit & (found.known_ms <= by_ms) & (at_ms <= by_ms))
    return at_ms[rows].tolist()


@pytest.mark.parametrize("fault", list(DETECTORS))
@settings(deadline=None, max_examples=20)
@given(places=faults, seed=st.integers(0, 9), cut=st.integers(200, 1400))
def test_what_is_known_by_an_instant_needs_no_later_reading(made, fault, places, seed, cut):
    series = damaged(made(seed=seed), places, seed)
    cut = min(cut, len(series) - 1)
    past = Series(series.quantity, series.at_ms[:cut], series.values[:cut])
    now = int(past.at_ms[-1])
    whole = known(DETECTORS[fault](series), series.at_ms, now)
    assert whole == known(DETECTORS[fault](past), past.at_ms, now)


@pytest.mark.parametrize("fault", [Fault.SPIKE, Fault.JUMP, Fault.NOISE])
@settings(deadline=None, max_examples=20)
@given(places=faults, seed=st.integers(0, 9), day=st.integers(40, 59))
def test_a_day_needs_only_the_days_before_it(made, fault, places, seed, day):
    """So a stream that keeps the look-back finds the same as a batch over the whole history."""
    series = damaged(made(seed=seed), places, seed)
    begin_ms = int(series.at_ms[0]) + day * DAY_MS
    # Figures of the look-back's first days use readings of the day before.
    first = np.searchsorted(series.at_ms, begin_ms - (LOOK_BACK_DAYS + 15) * DAY_MS)
    recent = Series(series.quantity, series.at_ms[first:], series.values[first:])
    for own in (series, recent):
        found = DETECTORS[fault](own)
        rows = (own.at_ms >= begin_ms) & found.unfit
        if own is series:
            expected = own.at_ms[rows].tolist()
    assert own.at_ms[rows].tolist() == expected
