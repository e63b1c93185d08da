"""Alerts against truth: by example, by law, and from a real server."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.monitoring.alerts import AlertCounts, Happened, judge, summed
from cloud.monitoring.store import alerts_judged
from cloud.monitoring.truth import write_truth
from models.replay import Interval

HORIZON_S = 6
HORIZON_MS = HORIZON_S * 1000


def counts(**changed):
    return AlertCounts(**{f.name: 0 for f in fields(AlertCounts)} | changed)


def happened(**changed):
    values = {
        "observed": 0,
        "raised": (),
        "began": (),
        "first_forecast_at": 0,
        "known_until": 10**6,
    }
    return Happened(**values | changed)


@pytest.mark.parametrize(
    ("raised", "began", "expected"),
    [
        ((1000,), (1001,), {"hits": 1}),
        ((1000,), (1000 + HORIZON_MS,), {"hits": 1}),
        ((1000,), (1001 + HORIZON_MS,), {"false_alarms": 1, "misses": 1}),
        ((1000,), (1000,), {"false_alarms": 1, "misses": 1}),  # no forecast of what is there
        ((1000, 2000), (3000,), {"hits": 2}),
        ((1000,), (2000, 3000), {"hits": 1}),  # both were foreseen
        ((), (2000,), {"misses": 1}),
        ((1000, 90_000), (2000, 50_000), {"hits": 1, "false_alarms": 1, "misses": 1}),
    ],
)
def test_what_is_a_hit_a_false_alarm_and_a_miss(raised, began, expected):
    found = judge(happened(raised=raised, began=began), HORIZON_S)
    assert found == counts(forecast=len(raised), **expected)


def test_what_cannot_be_known_yet_is_undecided():
    for known_until, name in ((6999, "undecided"), (7000, "false_alarms"), (None, "undecided")):
        found = judge(happened(raised=(1000,), known_until=known_until), HORIZON_S)
        assert found == counts(forecast=1, **{name: 1})
    assert judge(happened(raised=(None,)), HORIZON_S) == counts(forecast=1, undecided=1)


def test_nobody_could_foresee_what_began_before_the_first_forecast():
    began = (1000, 2000, 3000)
    found = judge(happened(began=began, first_forecast_at=2000), HORIZON_S)
    assert found == counts(misses=1, unforeseeable=2)
    found = judge(happened(began=began, first_forecast_at=None), HORIZON_S)
    assert found == counts(unforeseeable=3)


def test_neighbours_of_the_span_are_seen_and_not_counted():
    assert judge(happened(earlier=(1000,), began=(2000,)), HORIZON_S) == counts()
    found = judge(happened(raised=(1000,), later=(2000,)), HORIZON_S)
    assert found == counts(forecast=1, hits=1)


instants = st.lists(st.integers(0, 60_000), max_size=12, unique=True)
first_forecasts = st.one_of(st.none(), st.integers(0, 60_000))


def naive(raised, began, first, known_until):
    """Each alert and each begin looked at alone."""
    hits = [t for t in raised if any(t < b <= t + HORIZON_MS for b in began)]
    over = [t for t in raised if t not in hits and t + HORIZON_MS <= known_until]
    foreseeable = [b for b in began if first is not None and b > first]
    return counts(
        forecast=len(raised),
        hits=len(hits),
        false_alarms=len(over),
        undecided=len(raised) - len(hits) - len(over),
        misses=sum(all(not t < b <= t + HORIZON_MS for t in raised) for b in foreseeable),
        unforeseeable=len(began) - len(foreseeable),
    )


@given(instants, instants, first_forecasts, st.integers(0, 80_000))
def test_as_looking_at_each_alone(raised, began, first, known_until):
    told = happened(raised=raised, began=began, first_forecast_at=first, known_until=known_until)
    assert judge(told, HORIZON_S) == naive(raised, began, first, known_until)


@given(st.lists(st.builds(AlertCounts, **{f.name: st.integers(0, 9) for f in fields(AlertCounts)})))
def test_a_sum_is_the_sum_of_each(each):
    found = summed(each)
    for field in fields(AlertCounts):
        assert getattr(found, field.name) == sum(getattr(c, field.name) for c in each)


# from the warehouse


@pytest.fixture
def fleet(desk):
    """Two devices: one foresaw, one raised a false alarm and missed; begins before the first."""
    at = desk.at
    desk.edge_forecasts(
        *(desk.edge(d, at(h), 0.5) for d in ("ewr", "jfk") for h in (3, 9)),
        desk.edge("jfk", at(0), 0.5, mode="shadow"),  # it could not have warned
        desk.edge("jfk", None, 0.5),
    )
    desk.alerts(
        desk.alert("ewr", at(9)),
        desk.alert("ewr", at(12), state="cleared"),
        desk.alert("ewr", at(12), basis="observed"),
        desk.alert("ewr", at(13), basis="no_data"),
        desk.alert("jfk", at(9)),
        desk.alert("jfk", at(50)),
        desk.alert("jfk", at(9), condition_id="frost"),
    )
    truth = [("ewr", at(1)), ("ewr", at(12)), ("jfk", at(2)), ("jfk", at(30))]
    write_truth(desk.engine, "damp", [(d, Interval(b, 71.0)) for d, b in truth])
    write_truth(desk.engine, "frost", [("jfk", Interval(at(10), -1.0))])
    return desk


@pytest.mark.services
def test_alerts_of_a_real_warehouse(fleet):
    found = alerts_judged(fleet.engine, fleet.condition, 0, fleet.at(55))
    assert found == AlertCounts(
        observed=1,
        forecast=3,
        hits=1,
        false_alarms=1,
        undecided=1,
        misses=1,
        unforeseeable=2,
    )
    later = alerts_judged(fleet.engine, fleet.condition, 0, fleet.at(56))
    assert later == replace(found, false_alarms=2, undecided=0)


@pytest.mark.services
@pytest.mark.parametrize("cut", [0, 1, 2, 9, 10, 12, 12.5, 30, 31, 50])
def test_two_spans_add_up_to_one(fleet, cut):
    def judged(*span):
        return alerts_judged(fleet.engine, fleet.condition, *(fleet.at(h) for h in span))

    whole, parts = judged(0, 60), summed([judged(0, cut), judged(cut, 60)])
    for name in ("observed", "forecast", "hits", "misses", "unforeseeable"):
        assert getattr(parts, name) == getattr(whole, name), name
    assert parts.false_alarms + parts.undecided == whole.false_alarms + whole.undecided
