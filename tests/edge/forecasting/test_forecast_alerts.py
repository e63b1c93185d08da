"""Forecast alerts: raised, kept, cleared, taken over, timed out; a restart changes nothing."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.keys import alert_id
from contract.records import Alert, AlertBasis, AlertState, Origin, Prediction, PredictionMode
from edge.forecasting.forecast_alerts import Answer, ForecastAlerts
from edge.forecasting.window import Window
from edge.outputs.notifications import Notifications
from edge.sensing.alerts import Completed
from edge.sensing.timeline import Timeline
from models.conditions import load_conditions
from models.evaluation import Step

HOUR = 3_600_000
STREAM = "abcdefghij234"
NEW_YEAR = 1_356_998_400_000
LINE = Timeline(STREAM, NEW_YEAR)
HORIZON_H = 6


def declared(*names):
    common = {
        "comparison": "above",
        "limit": 70.0,
        "step_s": 3600,
        "max_age_s": 7200,
        "horizon_s": HORIZON_H * 3600,
        "warn_at": 0.6,
    }
    tables = [{**common, "id": name, "signal": f"{name}/humidity"} for name in names]
    return load_conditions(tables, "x")


DAMP, WET = declared("damp", "wet")


@dataclass
class Oracle:
    """Answers what it was told to, by the hour since new year, and remembers who asked."""

    says: dict[int, float] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def ask(self, condition, window, at_ms):
        del window
        hour = (at_ms - NEW_YEAR) // HOUR
        self.asked.append((condition.id, hour))
        if hour not in self.says:
            return None
        return Answer(probability=self.says[hour], model="gb", version="2013-1")


def step(hour, *, holds=False, full=True, value=60.0, condition=DAMP):
    at_ms = NEW_YEAR + hour * HOUR
    return Completed(condition, Step(at_ms, at_ms, value, holds, changed=False, full=full))


@pytest.fixture
def oracle():
    return Oracle()


@pytest.fixture
def forecasts(oracle, lamp):
    return ForecastAlerts([DAMP, WET], oracle, Notifications([lamp]), None)


@pytest.fixture
def feed(forecasts):
    """Takes one tick at the hour of its last step; the alerts are (hour, state, value, p)."""

    def take(*steps):
        events = forecasts.take(steps, Window(), LINE)
        last_ms = max(s.step.at_ms for s in steps) - NEW_YEAR
        return events + forecasts.advance(last_ms, LINE)

    return take


def alerts(events):
    return [
        (e.offset_ms // HOUR, e.event.state.value, e.event.value, e.event.probability)
        for e in events
        if isinstance(e.event, Alert)
    ]


def predictions(events):
    return [e for e in events if isinstance(e.event, Prediction)]


def test_a_prediction_says_what_was_asked_and_when(oracle, feed):
    oracle.says = {3: 0.12345678}
    (timed,) = feed(step(3))
    assert timed.offset_ms == 3 * HOUR
    assert timed.event == Prediction(
        condition_id="damp",
        model="gb",
        version="2013-1",
        horizon_s=21_600,
        probability=0.123457,
        origin=Origin.EDGE,
        mode=PredictionMode.ACTIVE,
    )


def test_only_full_steps_that_do_not_hold_are_asked_for(oracle, feed):
    oracle.says = dict.fromkeys(range(9), 0.1)
    made = feed(step(1), step(2, full=False), step(3, holds=True), step(4, condition=WET))
    assert oracle.asked == [("damp", 1), ("wet", 4)]
    assert [e.event.condition_id for e in predictions(made)] == ["damp", "wet"]


def test_without_utc_nobody_is_asked(oracle, forecasts):
    oracle.says = {0: 0.9}
    assert forecasts.take([step(0)], Window(), Timeline(STREAM, None)) == []
    assert oracle.asked == []


def test_raised_from_warn_at_and_cleared_below_it(oracle, feed, lamp):
    oracle.says = {1: 0.59, 2: 0.6, 3: 0.9, 4: 0.599999, 5: 0.7}
    told = [alerts(feed(step(hour, value=50.0 + hour))) for hour in range(1, 6)]
    assert told == [
        [],
        [(2, "raised", 52.0, 0.6)],
        [],
        [(4, "cleared", 54.0, 0.599999)],
        [(5, "raised", 55.0, 0.7)],
    ]
    assert lamp.told == [
        ("damp", "raised", True),
        ("damp", "cleared", False),
        ("damp", "raised", True),
    ]


def test_its_id_is_its_own(oracle, feed):
    """An observed alert of the same condition at the same instant has another one."""
    oracle.says = {1: 0.9, 2: 0.1}
    (raised,) = [e.event for e in feed(step(1)) if isinstance(e.event, Alert)]
    assert raised.basis is AlertBasis.FORECAST
    assert (
        raised.alert_id == alert_id("damp~forecast", STREAM, HOUR) != alert_id("damp", STREAM, HOUR)
    )
    (cleared,) = [e.event for e in feed(step(2)) if isinstance(e.event, Alert)]
    assert (cleared.alert_id, cleared.state) == (raised.alert_id, AlertState.CLEARED)


def test_the_observed_alert_takes_over(oracle, feed):
    oracle.says = {1: 0.9}
    feed(step(1))
    assert alerts(feed(step(2, holds=True, value=71.0))) == [(2, "cleared", 71.0, None)]
    assert alerts(feed(step(3, holds=True))) == []


def test_it_ends_a_horizon_after_the_last_forecast(oracle, feed, forecasts):
    oracle.says = {1: 0.9, 2: 0.8}
    feed(step(1))
    feed(step(2))
    for hour in (3, 4):
        assert feed(step(hour)) == []  # the model says nothing: a window that lacks something
    due_ms = (2 + HORIZON_H) * HOUR
    assert forecasts.advance(due_ms - 1, LINE) == []
    assert alerts(forecasts.advance(due_ms + 999, LINE)) == [(8, "cleared", None, None)]
    assert forecasts.advance(due_ms + 9999, LINE) == []


def test_a_forecast_after_a_long_silence_is_a_new_alert(oracle, feed):
    """However few ticks there were: dated as if somebody had looked all the time."""
    oracle.says = {1: 0.9, 40: 0.9}
    first = feed(step(1))
    then = feed(step(40))
    assert alerts(then) == [(7, "cleared", None, None), (40, "raised", 60.0, 0.9)]
    ids = [e.event.alert_id for e in first + then if isinstance(e.event, Alert)]
    assert ids[0] == ids[1] != ids[2]


def test_conditions_do_not_mix(oracle, feed, lamp):
    oracle.says = {1: 0.9, 2: 0.1}
    feed(step(1), step(1, condition=WET))
    feed(step(2))
    assert lamp.told == [
        ("damp", "raised", True),
        ("wet", "raised", True),
        ("damp", "cleared", True),
    ]


# --- over a restart ------------------------------------------------------------------------------


def test_it_is_stored_when_it_changed(oracle, feed, forecasts):
    assert forecasts.memory() == []
    oracle.says = {1: 0.1, 2: 0.9, 4: 0.1}
    feed(step(1))
    assert forecasts.memory() == []
    feed(step(2))
    assert forecasts.memory() == [("forecasts", forecasts.dump())]
    forecasts.stale = False
    feed(step(3))
    assert forecasts.memory() == []
    feed(step(4))
    assert forecasts.memory() == [("forecasts", "{}")]


def test_an_open_alert_lights_the_lamp_after_a_restart(oracle, feed, forecasts, lamp):
    oracle.says = {1: 0.9}
    feed(step(1))
    notifications = Notifications([lamp])
    again = ForecastAlerts([DAMP, WET], Oracle({2: 0.9, 3: 0.1}), notifications, forecasts.dump())
    notifications.resume()
    assert again.resume(NEW_YEAR + 2 * HOUR) == []
    assert lamp.told[-1] == ("resume", True)
    later = Timeline("zzzzzzzzzzzzz", NEW_YEAR + 2 * HOUR)
    assert alerts(again.take([step(2)], Window(), later)) == []
    (cleared,) = [e for e in again.take([step(3)], Window(), later) if isinstance(e.event, Alert)]
    assert cleared.event.alert_id == alert_id("damp~forecast", STREAM, HOUR)
    assert cleared.offset_ms == HOUR


def test_one_that_timed_out_meanwhile_ends_at_the_begin_of_the_stream(oracle, feed, forecasts):
    oracle.says = {1: 0.9}
    feed(step(1))
    again = ForecastAlerts([DAMP], Oracle(), Notifications([]), forecasts.dump())
    later = Timeline("zzzzzzzzzzzzz", NEW_YEAR + 20 * HOUR)
    assert again.resume(later.of_offset(0)) == []
    assert alerts(again.advance(10, later)) == [(0, "cleared", None, None)]


@pytest.mark.parametrize("now_ms", [None, NEW_YEAR - 50 * HOUR])
def test_with_unknown_or_earlier_utc_its_horizon_begins_anew(oracle, feed, forecasts, now_ms):
    oracle.says = {1: 0.9}
    feed(step(1))
    again = ForecastAlerts([DAMP], Oracle(), Notifications([]), forecasts.dump())
    assert again.resume(now_ms) == []
    begins = Timeline("zzzzzzzzzzzzz", now_ms)
    assert again.advance(1000, begins) == []
    assert again.advance(HORIZON_H * HOUR + 999, begins) == []
    assert alerts(again.advance(HORIZON_H * HOUR + 1000, begins)) == [(6, "cleared", None, None)]


def test_it_moves_along_with_the_clock(oracle, feed, forecasts):
    oracle.says = {1: 0.9}
    feed(step(1))
    forecasts.stale = False
    forecasts.rebase(100 * HOUR)
    assert forecasts.stale
    moved = Timeline(STREAM, NEW_YEAR + 100 * HOUR)
    assert forecasts.advance(7 * HOUR - 1, moved) == []
    assert alerts(forecasts.advance(7 * HOUR, moved)) == [(7, "cleared", None, None)]


def test_an_alert_of_a_condition_that_is_gone_is_cleared(oracle, feed, forecasts, lamp):
    oracle.says = {1: 0.9}
    feed(step(1), step(1, condition=WET))
    again = ForecastAlerts([DAMP], Oracle(), Notifications([lamp]), forecasts.dump())
    assert alerts(again.resume(NEW_YEAR + 2 * HOUR)) == [(0, "cleared", None, None)]
    assert lamp.told[-1] == ("wet", "cleared", True)
    assert "wet" not in again.dump()
    assert again.stale


# --- the law -------------------------------------------------------------------------------------

probabilities = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.59999, 0.6, 1.0]))
steps = st.lists(
    st.tuples(
        st.integers(1, 9),  # hours since the step before
        st.booleans(),  # holds
        st.booleans(),  # full
        probabilities,
        st.booleans(),  # a restart behind it
    ),
    max_size=40,
)


def expected_open(now_h, history):
    """Whether an alert is open after this history of (hour, holds, p or None), in plain words."""
    open_since_h, latest_h = None, None
    for hour, holds, probability in [*history, (now_h, False, None)]:
        if open_since_h is not None and hour - latest_h >= HORIZON_H:
            open_since_h = None
        if holds or (probability is not None and probability < DAMP.warn_at):
            open_since_h = None
        elif probability is not None:
            open_since_h, latest_h = open_since_h or hour, hour
    return open_since_h is not None


@given(steps)
def test_it_is_open_exactly_when_the_rules_say(made):
    """Also when only what was stored is left: after any step, and with a new stream."""
    hour, history, told, stored, oracle = 0, [], [], None, Oracle()
    forecasts, line = ForecastAlerts([DAMP], oracle, Notifications([]), None), LINE
    for gap_h, holds, full, probability, restarts in made:
        hour += gap_h
        if probability is not None:
            oracle.says[hour] = probability
        if restarts:
            forecasts = ForecastAlerts([DAMP], oracle, Notifications([]), stored)
            line = Timeline(f"{hour:013}", NEW_YEAR)
            forecasts.resume(NEW_YEAR + hour * HOUR)
        events = forecasts.take([step(hour, holds=holds, full=full)], Window(), line)
        events += forecasts.advance(hour * HOUR, line)
        stored = dict(forecasts.memory()).get("forecasts", stored)
        forecasts.stale = False
        asked = full and not holds
        history.append((hour, holds, probability if asked else None))
        assert len(predictions(events)) == (asked and probability is not None)
        told += [e.event for e in events if isinstance(e.event, Alert)]
        is_open = bool(told) and told[-1].state is AlertState.RAISED
        assert is_open == expected_open(hour, history) == (forecasts.dump() != "{}")
    for raised, cleared in zip(told[::2], told[1::2], strict=False):
        assert (raised.state, cleared.state) == (AlertState.RAISED, AlertState.CLEARED)
        assert raised.alert_id == cleared.alert_id
    begun = [a.alert_id for a in told[::2]]
    assert len(set(begun)) == len(begun)
