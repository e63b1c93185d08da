"""Alerts: told once, told before the commit, remembered over a restart."""

import json

import pytest

from contract.keys import alert_id
from contract.quantities import Quality, Quantity
from contract.records import AlertBasis, AlertState, Receipt
from contract.signals import Signal
from edge.outputs.notifications import Notifications
from edge.sensing.alerts import Alerts, samples_of
from edge.sensing.timeline import Timeline
from edge.storage.open_block import Measured
from models.conditions import load_conditions
from models.evaluation import Sample

HOUR = 3_600_000
STREAM = "abcdefghij234"


def declared(*tables):
    common = {"comparison": "above", "step_s": 3600, "max_age_s": 7200}
    return load_conditions([{**common, **t} for t in tables], "x")


DAMP = {"id": "damp", "signal": "attic/humidity", "limit": 70.0}
WARM = {"id": "warm", "signal": "attic/temperature", "limit": 30.0}


@pytest.fixture
def line(new_year):
    return Timeline(STREAM, new_year)


@pytest.fixture
def feed(line, measured):
    """Takes one reading of attic at an offset: (temperature, humidity)."""

    def take(alerts, offset_ms, temperature_c=20.0, humidity_pct=50.0, timeline=line):
        one = measured(offset_ms, temperature_c, humidity_pct)
        events = alerts.take(samples_of(one, timeline.of_offset(offset_ms)), timeline)
        return events + alerts.advance(offset_ms, timeline)

    return take


def test_raised_and_cleared_share_an_id(lamp, feed):
    alerts = Alerts(declared(DAMP), Notifications([lamp]), None)
    assert feed(alerts, 0) == []
    ((offset_ms, raised),) = [(e.offset_ms, e.event) for e in feed(alerts, HOUR, humidity_pct=75.0)]
    assert offset_ms == HOUR
    assert (raised.condition_id, raised.state, raised.basis, raised.value) == (
        "damp",
        AlertState.RAISED,
        AlertBasis.OBSERVED,
        75.0,
    )
    assert raised.alert_id == alert_id("damp", STREAM, HOUR)
    assert feed(alerts, 2 * HOUR, humidity_pct=80.0) == []
    (cleared,) = feed(alerts, 3 * HOUR)
    assert (cleared.event.alert_id, cleared.event.state) == (raised.alert_id, AlertState.CLEARED)
    (again,) = feed(alerts, 4 * HOUR, humidity_pct=75.0)
    assert again.event.alert_id != raised.alert_id


def test_outputs_know_whether_any_alert_is_open(lamp, feed):
    notifications = Notifications([lamp])
    alerts = Alerts(declared(DAMP, WARM), notifications, None)
    feed(alerts, 0, 35.0, 75.0)
    feed(alerts, HOUR, 35.0, 50.0)
    feed(alerts, 2 * HOUR, 20.0, 50.0)
    assert lamp.told == [
        ("warm", "raised", True),
        ("damp", "raised", True),
        ("damp", "cleared", True),
        ("warm", "cleared", False),
    ]
    notifications.close()
    assert lamp.told[-1] == "close"


def test_receipts_say_which_output_took_it(lamp, feed):
    lamp.takes = False
    alerts = Alerts(declared(DAMP), Notifications([lamp]), None)
    (raised,) = feed(alerts, 0, humidity_pct=75.0)
    assert raised.event.receipts == (Receipt(output_id="lamp", delivered=False),)


def test_a_restart_neither_doubles_nor_forgets(lamp, feed):
    first = Alerts(declared(DAMP), Notifications([]), None)
    (raised,) = feed(first, HOUR, humidity_pct=75.0)
    notifications = Notifications([lamp])
    second = Alerts(declared(DAMP), notifications, first.dump())
    notifications.resume()
    assert second.resume(1_356_998_400_000 + 2 * HOUR) == []
    assert lamp.told == [("resume", True)]
    later = Timeline("zzzzzzzzzzzzz", 1_356_998_400_000 + 2 * HOUR)
    assert feed(second, 60_000, humidity_pct=75.0, timeline=later) == []
    (cleared,) = feed(second, HOUR, timeline=later)
    assert (cleared.event.alert_id, cleared.event.state) == (
        raised.event.alert_id,
        AlertState.CLEARED,
    )


def test_a_restart_in_the_middle_of_a_duration_goes_on_counting(feed, line):
    table = {**DAMP, "step_s": 60, "max_age_s": 600, "duration_s": 600}
    first = Alerts(declared(table), Notifications([]), None)
    for minute in range(6):
        assert feed(first, minute * 60_000, humidity_pct=75.0) == []
    second = Alerts(declared(table), Notifications([]), first.dump())
    second.resume(line.of_offset(6 * 60_000))
    raised = [
        event
        for minute in range(6, 15)
        for event in feed(second, minute * 60_000, humidity_pct=75.0)
    ]
    assert [e.offset_ms for e in raised] == [10 * 60_000]


@pytest.mark.parametrize("now_ms", [None, 1_356_998_400_000 - 50 * HOUR])
def test_a_start_with_unknown_or_earlier_utc_is_not_blind(feed, now_ms):
    """What was judged 'later' than now must not make all that comes too late."""
    first = Alerts(declared(DAMP), Notifications([]), None)
    feed(first, HOUR)
    second = Alerts(declared(DAMP), Notifications([]), first.dump())
    second.resume(now_ms)
    begins = Timeline("zzzzzzzzzzzzz", now_ms)
    assert len(feed(second, HOUR, humidity_pct=75.0, timeline=begins)) == 1


def test_an_alert_of_a_condition_that_is_gone_is_cleared(lamp, feed):
    first = Alerts(declared(DAMP, WARM), Notifications([]), None)
    raised = {e.event.condition_id: e.event for e in feed(first, 0, 35.0, 75.0)}
    second = Alerts(declared(DAMP), Notifications([lamp]), first.dump())
    (cleared,) = second.resume(1_356_998_400_000 + HOUR)
    assert (cleared.event.alert_id, cleared.event.state, cleared.event.value) == (
        raised["warm"].alert_id,
        AlertState.CLEARED,
        None,
    )
    third = Alerts(declared(DAMP), Notifications([]), second.dump())
    assert third.resume(1_356_998_400_000 + HOUR) == []


def test_a_new_condition_beside_stored_ones(feed):
    first = Alerts(declared(DAMP), Notifications([]), None)
    feed(first, 0, humidity_pct=75.0)
    second = Alerts(declared(DAMP, WARM), Notifications([]), first.dump())
    second.resume(1_356_998_400_000 + HOUR)
    events = feed(second, 2 * HOUR, 35.0, 75.0)
    assert [(e.event.condition_id, e.event.state) for e in events] == [("warm", AlertState.RAISED)]


def test_an_overdue_steps_alert_is_dated_at_its_end_not_before_the_stream(feed, line):
    table = {**DAMP, "signal": None, "derived": "dew_point_margin", "comparison": "below"}
    table = {k: v for k, v in table.items() if v is not None} | {
        "limit": 3.0, "temperature": "attic/temperature", "humidity": "attic/humidity",
    }  # fmt: skip
    alerts = Alerts(declared(table), Notifications([]), None)
    feed(alerts, 0)
    assert feed(alerts, HOUR + 60_000, None, 99.0) == []
    events = alerts.advance(2 * HOUR + 5000, line)
    assert [e.offset_ms for e in events] == [2 * HOUR]
    second = Alerts(declared(table), Notifications([]), None)
    feed(second, 0)
    feed(second, HOUR + 60_000, None, 99.0)
    restarted = Alerts(declared(table), Notifications([]), second.dump())
    begins = Timeline("zzzzzzzzzzzzz", line.of_offset(2 * HOUR + 1))
    restarted.resume(begins.of_offset(0))
    assert [e.offset_ms for e in restarted.advance(10, begins)] == [0]


def test_bad_values_are_no_samples(measured):
    one = measured(5, None, 50.0)
    bad = Measured(
        one.sensor_id, one.series, 5, (9900, 500), ((Quality.BAD, ()), (Quality.UNCERTAIN, ()))
    )
    assert samples_of(one, 77) == [
        (Signal("attic", Quantity.TEMPERATURE), Sample(77, None)),
        (Signal("attic", Quantity.HUMIDITY), Sample(77, 50.0)),
    ]
    assert samples_of(bad, 77)[0][1].value is None
    assert samples_of(bad, 77)[1][1].value == 50.0


def test_conditions_see_the_value_as_it_is_encoded(feed):
    alerts = Alerts(declared({**DAMP, "limit": 70.0}), Notifications([]), None)
    assert feed(alerts, 0, humidity_pct=70.04) == []  # one decimal: 70.0, which is not beyond 70


def test_what_an_earlier_version_stored_goes_on(feed, line):
    """The text that the gateway stored before evaluators kept their own state."""
    at_ms = line.of_offset(0)
    stored = (
        f'{{"damp":{{"open":"00112233445566ff","latest":{{"attic/humidity":[{at_ms},75.0]}},'
        f'"step_ms":{at_ms},"completed_ms":{at_ms},"holds":true,"beyond_since_ms":{at_ms}}}}}'
    )
    outputs = Notifications([])
    alerts = Alerts(declared(DAMP), outputs, stored)
    assert json.loads(alerts.dump()) == json.loads(stored)
    (cleared,) = feed(alerts, HOUR, humidity_pct=60.0)
    assert (cleared.event.alert_id, cleared.event.state) == ("00112233445566ff", AlertState.CLEARED)
