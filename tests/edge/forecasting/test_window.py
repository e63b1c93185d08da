"""The window of 37 hours: what it keeps, and that a model sees in it what all readings say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.signals import Signal
from edge.forecasting.forecaster import readings_of
from edge.forecasting.window import SLOT_MS, SPAN_MS, Window
from models import features
from models.conditions import load_conditions
from models.evaluation import Sample
from models.features import windows
from models.replay import Readings

HOUR = 3_600_000
INPUTS = tuple(map(Signal.parse, ("air/temperature", "air/humidity", "roof/pressure")))
A, B = INPUTS[:2]
(DEW,) = load_conditions(
    [
        {
            "id": "dew",
            "derived": "dew_point_margin",
            "temperature": str(INPUTS[0]),
            "humidity": str(INPUTS[1]),
            "pressure": str(INPUTS[2]),
            "comparison": "below",
            "limit": 3.0,
            "step_s": 3600,
            "max_age_s": 7200,
        }
    ],
    "x",
)


def recalled(memory, *, exact=True):
    return Window.recalled(dict(memory).get, exact=exact)


def test_the_last_sample_of_a_slot_stands_for_it():
    window = Window()
    for at_ms, value in ((0, 1.0), (599_999, 2.0), (600_000, 3.0)):
        window.take(A, Sample(at_ms, value))
    window.settle()
    assert window.samples(A) == (Sample(599_999, 2.0), Sample(600_000, 3.0))
    assert window.samples(B) == ()


def test_what_was_replaced_is_known_until_the_tick_is_over():
    window = Window()
    window.take(A, Sample(100, 1.0))
    window.settle()
    window.take(A, Sample(200, 2.0))
    window.take(A, Sample(300, 3.0))
    assert [s.value for s in window.samples(A)] == [1.0, 2.0, 3.0]
    window.settle()
    assert [s.value for s in window.samples(A)] == [3.0]


@given(st.lists(st.integers(0, 2 * HOUR), max_size=60))
def test_it_spans_37_hours_and_is_sorted(gaps):
    window, at_ms = Window(), 0
    for gap in gaps:
        at_ms += gap
        window.take(A, Sample(at_ms, 1.0))
        window.settle()
    times = [s.at_ms for s in window.samples(A)]
    assert times == sorted(times)
    assert all(at_ms - SPAN_MS <= t <= at_ms for t in times)
    assert len({t // SLOT_MS for t in times}) == len(times) <= SPAN_MS // SLOT_MS + 1


def test_it_spans_what_features_look_back_on():
    """The oldest value that can matter, and a tick that lasts an hour."""
    oldest_h = features.LAGS - 1 + max(features.MAX_AGE_H)
    assert (oldest_h + 1) * HOUR <= SPAN_MS
    assert SLOT_MS == features.SLOT_MS


def test_it_is_stale_once_a_slot_until_somebody_has_stored_it():
    window = Window()
    window.take(A, Sample(0, 1.0))
    assert window.stale
    assert [name for name, _ in window.memory()] == ["window"]
    window.stale = False
    window.take(A, Sample(1, 2.0))
    assert not window.stale
    assert window.memory() == []
    window.take(A, Sample(SLOT_MS, 3.0))
    assert window.stale


def test_stored_and_restored():
    window = Window()
    for hour in range(45):
        window.take(A, Sample(hour * HOUR, hour / 2))
        window.take(B, Sample(hour * HOUR, -1.5))
    again = recalled(window.memory(), exact=False)
    assert again.samples(A) == window.samples(A)
    assert again.samples(B) == window.samples(B)
    assert not again.stale
    again.take(A, Sample(45 * HOUR, 1.0))
    assert len(again.samples(A)) == 38
    assert recalled({}).samples(A) == ()


def test_where_models_run_the_newest_samples_are_stored_each_time():
    window = Window(exact=True)
    window.take(A, Sample(0, 1.0))
    first = window.memory()
    window.stale = False
    window.take(A, Sample(1000, 2.0))
    window.take(B, Sample(1000, 5.0))
    window.stale = False
    window.settle()
    second = window.memory()
    assert [name for name, _ in second] == ["window_newest"]
    again = recalled([*first, *second])
    assert again.samples(A) == window.samples(A) == (Sample(1000, 2.0),)
    assert again.samples(B) == window.samples(B)
    assert not again.stale
    # what a gateway without models left lying around is not looked at
    assert recalled([*first, *second], exact=False).samples(A) == (Sample(0, 1.0),)


def test_what_a_restored_window_cannot_place_is_forgotten():
    text = '{"air/temperature":[[1000,1.0],[2000,2.0]]}'
    for now_ms, expected in ((None, 0), (1500, 1), (2000, 2)):
        window = recalled({"window": text})
        window.resume(now_ms)
        assert len(window.samples(A)) == expected, now_ms


def test_another_time_line():
    window = recalled({"window": json.dumps({str(A): [[1000, 1.0], [2000, 2.0]]})})
    window.rebase(-500)
    assert window.samples(A) == (Sample(500, 1.0), Sample(1500, 2.0))


# --- the same grid as from all readings ----------------------------------------------------------

ticks = st.lists(
    st.tuples(
        st.one_of(  # since the tick before: within a slot, some slots, days
            st.integers(1, SLOT_MS), st.integers(1, 3 * HOUR), st.integers(1, 50 * HOUR)
        ),
        st.lists(
            st.tuples(  # readings of one tick, some ms apart, up to across the end of a slot
                st.sampled_from(INPUTS),
                st.sampled_from([0, 0, 1, 30, 90_000]),
                st.one_of(st.none(), st.floats(1, 90)),
            ),
            max_size=6,
        ),
    ),
    min_size=1,
    max_size=50,
)


def grid(readings, instant):
    return windows(readings, np.array([instant], np.int64), DEW)


@settings(max_examples=300)
@given(ticks, st.sampled_from([0, 599_000, 1_700_000_000_123]), st.booleans())
def test_the_window_gives_the_grid_of_all_readings(made, begin_ms, restarts):
    """At the instant of each reading, looked at when its tick is over; also across restarts."""
    window, taken, now_ms = Window(exact=True), [], begin_ms
    for gap_ms, readings in made:
        now_ms += gap_ms
        first = now_ms
        instants = [first]
        for signal, later_ms, value in readings:
            now_ms += later_ms
            instants.append(now_ms)
            taken.append((signal, now_ms, value))
            if value is not None:
                window.take(signal, Sample(now_ms, value))
        everything = Readings.of_rows(
            [signal for signal, _, _ in taken],
            np.array([at_ms for _, at_ms, _ in taken], np.int64),
            np.array([v for _, _, v in taken], np.float64),  # None is NaN
        )
        for instant in instants:
            np.testing.assert_array_equal(
                grid(readings_of(window, DEW), instant), grid(everything, instant)
            )
        window.settle()
        if restarts:
            stored = [("window", "{}"), *window.memory()]
            window.stale = True  # each restart recalls the whole: the parts are tested above
            stored += window.memory()
            window = recalled(stored)
            window.resume(now_ms)


@pytest.mark.parametrize("missing", INPUTS)
def test_a_signal_that_never_came_is_unknown(missing):
    window = Window()
    for signal in INPUTS:
        if signal != missing:
            window.take(signal, Sample(0, 5.0))
    found = grid(readings_of(window, DEW), 0)
    assert np.isnan(found[0, INPUTS.index(missing)]).all()
    assert np.isfinite(found[0, :, 0]).sum() == 2
