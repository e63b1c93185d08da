"""Labels and windows that depend on unfit readings: no more and no fewer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.quality.spans import Fault, Span
from cloud.training.history import History, device_history
from cloud.training.masks import fit_windows, masked_labels
from contract.signals import Signal
from models.conditions import load_conditions
from models.replay import Readings, replay

HOUR = 3_600_000
HUMIDITY, TEMPERATURE, PRESSURE = map(
    Signal.parse, ("air/humidity", "air/temperature", "roof/pressure")
)
CONDITION = load_conditions(
    [
        {
            "id": "damp",
            "signal": "air/humidity",
            "temperature": "air/temperature",
            "pressure": "roof/pressure",
            "comparison": "above",
            "limit": 70.0,
            "step_s": 3600,
            "max_age_s": 7200,
            "horizon_s": 3 * 3600,
        }
    ],
    "x",
)[0]


def readings(count, missing=()):
    hours = [hour for hour in range(count) if hour not in missing]
    rows = [(h * HOUR + 60_000, s) for h in hours for s in (TEMPERATURE, HUMIDITY)]
    at_ms, signals = zip(*rows, strict=True)
    draw = np.random.default_rng(1)
    return Readings.of_rows(signals, np.array(at_ms, np.int64), draw.uniform(40, 90, len(rows)))


def span(first_hour, last_hour, signal=HUMIDITY):
    return Span(
        signal=signal,
        fault=Fault.STUCK,
        begin_ms=first_hour * HOUR + 60_000,
        end_ms=last_hour * HOUR + 60_000,
        known_ms=0,
        figure=1.0,
    )


def masked_hours(spans, missing=()):
    steps = replay(CONDITION, readings(48, missing))
    masked = masked_labels(steps, CONDITION, spans)
    return (steps.begins_ms[masked] // HOUR).tolist()


def test_the_step_itself_and_the_steps_whose_horizon_reaches_it_are_masked():
    assert masked_hours([span(20, 21)]) == [17, 18, 19, 20, 21]


def test_other_signals_do_not_matter_to_the_label_but_to_the_window():
    assert masked_hours([span(20, 21, TEMPERATURE)]) == []
    steps = replay(CONDITION, readings(96))
    fit = fit_windows(steps, CONDITION, [span(20, 21, TEMPERATURE)])
    # the oldest value of a window is 36 h old: pressure of 24 h ago that was 12 h old then
    assert np.flatnonzero(~fit).tolist() == list(range(20, 58))
    elsewhere = span(20, 21, Signal.parse("cellar/humidity"))
    assert fit_windows(steps, CONDITION, [elsewhere]).all()


def test_a_step_that_uses_an_older_value_is_masked_with_it():
    # Nothing comes in hour 22: its step ends with the value of hour 21, and hour 23's begins anew.
    assert masked_hours([span(21, 21)], missing=(22,)) == [18, 19, 20, 21, 22]


@given(st.lists(st.tuples(st.integers(0, 47), st.integers(0, 5)), max_size=4))
def test_a_label_is_masked_exactly_if_a_step_it_depends_on_is_unfit(faults):
    spans = [span(first, first + more) for first, more in faults]
    unfit = {hour for first, more in faults for hour in range(first, first + more + 1)}
    expected = [hour for hour in range(48) if unfit & set(range(hour, hour + 4))]
    assert masked_hours(spans) == expected


def test_a_history_keeps_steps_and_truth_and_loses_labels():
    own = readings(96)
    clean = History.of(device_history("gw", own, (CONDITION,)), "damp")
    found = History.of(device_history("gw", own, (CONDITION,), [span(50, 60)]), "damp")
    for name in ("begins_ms", "at_ms", "values", "holds", "changed", "full", "usable", "features"):
        np.testing.assert_array_equal(getattr(found, name), getattr(clean, name))
    assert found.truth() == clean.truth()
    assert not clean.masked.any()
    assert clean.fit.all()
    np.testing.assert_array_equal(np.isnan(found.labels), np.isnan(clean.labels) | found.masked)
    assert found.masked.sum() == 14


@pytest.mark.parametrize("spans", [[], [span(5, 6)]])
def test_nothing_is_masked_in_nothing(spans):
    empty = replay(CONDITION, Readings.of_rows([], np.empty(0, np.int64), np.empty(0)))
    assert (
        len(masked_labels(empty, CONDITION, spans))
        == len(fit_windows(empty, CONDITION, spans))
        == 0
    )
