"""Replay of history: the same verdicts as sample by sample, and labels that nobody guessed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.quantities import Quantity
from contract.signals import Signal
from models.conditions import load_conditions
from models.evaluation import Evaluator, Sample
from models.replay import Interval, Readings, intervals, onsets, replay

HOUR = 3_600_000
HUMIDITY = Signal("air", Quantity.HUMIDITY)


def condition(**keys):
    table = {
        "id": "damp",
        "signal": "air/humidity",
        "comparison": "above",
        "limit": 70.0,
        "step_s": 3600,
        "max_age_s": 7200,
        "horizon_s": 3 * 3600,
        **keys,
    }
    return load_conditions([table], "x")[0]


def readings(rows):
    signals, at_ms, values = zip(*rows, strict=True) if rows else ((), (), ())
    return Readings.of_rows(signals, np.array(at_ms, np.int64), np.array(values, np.float64))


def hourly(*values):
    return readings([(HUMIDITY, hour * HOUR, v) for hour, v in enumerate(values)])


rows = st.lists(
    st.tuples(
        st.sampled_from([HUMIDITY, Signal("air", Quantity.TEMPERATURE)]),
        st.integers(0, 3 * HOUR),
        st.one_of(st.just(float("nan")), st.floats(60, 80)),
    ),
    max_size=60,
)


@given(rows, st.integers(0, 7200))
def test_as_the_gateway_judges(gaps, duration_s):
    at_ms, taken = 0, []
    for signal, gap_ms, value in gaps:
        at_ms += gap_ms
        taken.append((signal, at_ms, value))
    declared = condition(duration_s=duration_s)
    evaluator, expected = Evaluator(declared), []
    for signal, when, value in taken:  # also of another signal: they move time on there
        sample = Sample(when, None if np.isnan(value) else value)
        expected += evaluator.take(signal, sample)
    found = replay(declared, readings(taken))
    columns = (found.begins_ms, found.at_ms, found.values, found.holds, found.changed, found.full)
    shown = list(zip(*(c.tolist() for c in columns), strict=True))
    as_told = [(s.begins_ms, s.at_ms, s.value, s.holds, s.changed, s.full) for s in expected]
    # what time alone has completed since the last sample of the condition's own is still to come
    assert shown == as_told[: len(shown)]
    assert all(not full for *_, full in as_told[len(shown) :])
    for row, at, full in zip(found.rows, found.at_ms, found.full, strict=True):
        assert not full or taken[row][1] == at


def test_an_onset_is_what_the_next_steps_say():
    steps = replay(condition(), hourly(60, 60, 60, 60, 71, 60, 60, 60, 60))
    assert onsets(steps, condition())[:6].tolist() == [0, 1, 1, 1, 0, 0]
    assert np.isnan(onsets(steps, condition())[6:]).all()


def test_a_step_that_nobody_observed_leaves_no_label_even_after_an_onset():
    nothing = float("nan")
    steps = replay(condition(max_age_s=1), hourly(60, 71, nothing, 60, 60, 60, 60))
    labels = onsets(steps, condition(max_age_s=1))
    assert steps.begins_ms.tolist() == [h * HOUR for h in (0, 1, 3, 4, 5, 6)]
    assert np.isnan(labels[:2]).all()
    assert labels[2] == 0


def test_intervals_are_the_alerts():
    steps = replay(condition(), hourly(71, 60, 60, 72, 73, 65, 75))
    assert intervals(steps) == [
        Interval(0, 71.0, HOUR, 60.0),
        Interval(3 * HOUR, 72.0, 5 * HOUR, 65.0),
        Interval(6 * HOUR, 75.0),
    ]


def test_what_held_before_is_not_ours():
    steps = replay(condition(), hourly(60, 71), holds=True)
    assert intervals(steps) == [Interval(HOUR, 71.0)]


@pytest.mark.parametrize("horizon_s", [0, 1800])
def test_no_horizon_no_label(horizon_s):
    steps = replay(condition(horizon_s=horizon_s), hourly(60, 71))
    assert np.isnan(onsets(steps, condition(horizon_s=horizon_s))).all()


def test_no_readings():
    steps = replay(condition(), readings([]))
    assert len(steps) == 0
    assert intervals(steps) == []
    assert len(onsets(steps, condition())) == 0
