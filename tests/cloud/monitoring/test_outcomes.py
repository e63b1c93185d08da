"""The join of forecasts and history on a real server, held against one of plain dictionaries."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.errors import SchemaOutdated
from cloud.monitoring.outcomes import join_outcomes
from cloud.monitoring.store import read_outcomes
from cloud.warehouse.model_tables import OUTCOMES

pytestmark = pytest.mark.services

KEY = ("device_id", "condition_id", "origin", "issued_at", "model", "version")
SURELY = (True, True)  # full and usable


def first_tenth(rows):
    """A baseline: a tenth of the first feature."""
    return rows[:, :1] / 10


def always(probability):
    return lambda rows: np.full(len(rows), probability)


@pytest.fixture
def join(desk):
    def join(rows, *baselines):
        return join_outcomes(desk.engine, desk.condition, desk.history(rows), baselines)

    return join


def test_each_forecast_gets_its_truth_and_the_baseline_in_force(desk, join):
    at = desk.at
    desk.edge_forecasts(desk.edge("ewr", at(0), 0.25), desk.edge("ewr", at(1), 0.5))
    desk.cloud_forecasts(desk.cloud("ewr", at(2), 0.75, late=True), desk.cloud("jfk", at(1), 1.0))
    rows = [
        ("ewr", at(0), 0, False, *SURELY, 1.0),
        ("ewr", at(1), 1, False, *SURELY, 2.0),
        ("ewr", at(2), 1, False, *SURELY, 3.0),
        ("jfk", at(1), 0, False, *SURELY, 4.0),
    ]
    baselines = [(at(2), always(0.9)), (at(1), first_tenth)]  # in any order
    assert join(rows, *baselines) == 4
    found = [
        tuple(r[c] for c in (*KEY, "horizon_s", "probability", "baseline_probability", "onset"))
        for r in desk.rows(OUTCOMES)
    ]
    assert found == [
        ("ewr", "damp", "cloud", at(2), "damp", "v1", 21600, 0.75, 0.9, True),
        ("ewr", "damp", "edge", at(0), "damp", "v1", 21600, 0.25, None, False),
        ("ewr", "damp", "edge", at(1), "damp", "v1", 21600, 0.5, 0.2, True),
        ("jfk", "damp", "cloud", at(1), "damp", "v1", 21600, 1.0, 0.4, False),
    ]
    assert join(rows, *baselines) == 0


@pytest.mark.parametrize(
    "step",
    [
        (math.nan, False, True, True),  # the truth is not known
        (1, True, True, True),  # it held already
        (1, False, False, True),  # no reading completed the step: nobody forecast at it
    ],
)
def test_a_step_without_a_forecast_to_judge_gives_no_outcome(desk, join, step):
    desk.edge_forecasts(desk.edge("ewr", desk.at(0), 0.5))
    later = ("ewr", desk.at(1), 0, False, *SURELY, 0.0)  # history goes on
    assert join([("ewr", desk.at(0), *step, 0.0), later]) == 0
    assert desk.rows(OUTCOMES) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "shadow"},
        {"origin": "cloud"},
        {"condition_id": "frost"},
        {"horizon_s": 3600},
    ],
)
def test_forecasts_of_another_kind_are_not_judged(desk, join, changed):
    desk.edge_forecasts(desk.edge("ewr", desk.at(0), 0.5, **changed))
    assert join([("ewr", desk.at(0), 1, False, *SURELY, 0.0)]) == 0


def test_an_instant_beside_the_step_is_another_instant(desk, join):
    desk.edge_forecasts(desk.edge("ewr", desk.at(0) + 1, 0.5), desk.edge("ewr", None, 0.5))
    rows = [("ewr", desk.at(h), 1, False, *SURELY, 0.0) for h in (0, 1)]
    assert join(rows) == 0


def test_a_window_that_history_cannot_use_has_no_baseline(desk, join):
    desk.edge_forecasts(desk.edge("ewr", desk.at(0), 0.5))
    assert join([("ewr", desk.at(0), 1, False, True, False, math.nan)], (0, always(0.3))) == 1
    assert desk.rows(OUTCOMES)[0]["baseline_probability"] is None


def test_late_readings_change_outcomes_and_undo_them(desk, join):
    at = desk.at
    desk.edge_forecasts(*(desk.edge("ewr", at(h), h / 10) for h in range(3)))
    rows = [("ewr", at(h), 0, False, *SURELY, 1.0) for h in range(4)]
    assert join(rows, (0, first_tenth)) == 3
    changed = list(rows)
    changed[0] = ("ewr", at(0), 1, False, *SURELY, 1.0)  # it began after all
    changed[1] = ("ewr", at(1), 0, True, *SURELY, 1.0)  # it held then
    assert join(changed, (0, first_tenth)) == 2
    assert [(r["issued_at"], r["onset"]) for r in desk.rows(OUTCOMES)] == [
        (at(0), True),
        (at(2), False),
    ]
    assert join(rows, (0, first_tenth)) == 2
    assert join(rows, (0, always(0.3))) == 3
    assert {r["baseline_probability"] for r in desk.rows(OUTCOMES)} == {0.3}


def test_a_shorter_history_leaves_alone_what_it_does_not_decide(desk, join):
    at = desk.at
    desk.edge_forecasts(*(desk.edge("ewr", at(h), 0.5) for h in range(6)))
    desk.edge_forecasts(desk.edge("jfk", at(0), 0.5))
    whole = [(d, at(h), 0, False, *SURELY, 1.0) for d in ("ewr", "jfk") for h in range(6)]
    assert join(whole) == 7
    undecided = ("ewr", at(3), math.nan, False, *SURELY, 1.0)
    assert join([r for r in whole if r[0] == "ewr" and r[1] < at(3)] + [undecided]) == 0
    assert join([undecided]) == 0
    assert join([]) == 0
    assert len(desk.rows(OUTCOMES)) == 7


def test_of_forecasts_with_one_key_the_first_counts(desk, join):
    desk.edge_forecasts(
        desk.edge("ewr", desk.at(0), 0.9, stream_id="b" * 13),
        desk.edge("ewr", desk.at(0), 0.2),
        desk.edge("ewr", desk.at(0), 0.3),
        desk.edge("ewr", desk.at(0), 0.4, version="v2"),
    )
    assert join([("ewr", desk.at(0), 1, False, *SURELY, 0.0)]) == 2
    found = [(r["version"], r["probability"]) for r in desk.rows(OUTCOMES)]
    assert found == [("v1", 0.2), ("v2", 0.4)]


def test_a_missing_table_names_the_command(desk, empty):
    history = desk.history([("ewr", desk.at(0), 1, False, *SURELY, 0.0)])
    with pytest.raises(SchemaOutdated, match="warehouse migrate"):
        join_outcomes(empty, desk.condition, history, ())


# few instants, and most steps with a forecast to judge: else nearly nothing would be joined
devices, hours = st.sampled_from(["ewr", "jfk"]), st.integers(0, 3)
probabilities = st.integers(0, 10**6).map(lambda n: n / 10**6)
mostly, rarely = st.sampled_from([True, True, False]), st.sampled_from([False, False, True])
steps = st.lists(
    st.tuples(
        devices,
        hours,
        st.sampled_from([0, 0, 1, 1, math.nan]),
        rarely,
        mostly,
        mostly,
        st.integers(0, 9).map(float),
    ),
    max_size=8,
    unique_by=lambda row: row[:2],
)
forecasts = st.lists(
    st.tuples(
        st.sampled_from(["edge", "cloud"]),
        devices,
        hours,
        st.sampled_from(["v1", "v2"]),
        probabilities,
        st.sampled_from(["active", "active", "shadow"]),
    ),
    max_size=20,
)
terms = st.lists(st.tuples(hours, probabilities), max_size=3, unique_by=lambda t: t[0])


def naive(desk, rows, made, baselines):
    """What the outcomes should be, by looking each forecast up."""
    known = {(d, at): (label, holds, full, usable) for d, at, label, holds, full, usable, _ in rows}
    found = {}
    for origin, device, hour, version, probability, mode in made:
        at = desk.at(hour)
        label, holds, full, usable = known.get((device, at), (math.nan, False, False, False))
        if math.isnan(label) or holds or not full or (origin == "edge" and mode == "shadow"):
            continue
        in_force = max((b for b in baselines if b[0] <= at), default=None)
        said = in_force[1] if in_force and usable else None
        key = (device, "damp", origin, at, "damp", version)
        found.setdefault(key, (probability, said, label == 1))
    return found


def put(desk, made):
    for origin, device, hour, version, probability, mode in made:
        at = desk.at(hour)
        if origin == "edge":
            desk.edge_forecasts(desk.edge(device, at, probability, version=version, mode=mode))
        else:
            desk.cloud_forecasts(desk.cloud(device, at, probability, version=version))


def joined(desk):
    return {
        tuple(r[c] for c in KEY): (r["probability"], r["baseline_probability"], r["onset"])
        for r in desk.rows(OUTCOMES)
    }


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, forecasts, terms)
def test_as_a_dictionary_joins_and_twice_is_once(desk, join, plain, made, plain_terms):
    desk.clear()
    put(desk, made)
    rows = [(device, desk.at(hour), *rest) for device, hour, *rest in plain]
    baselines = [(desk.at(hour), p) for hour, p in plain_terms]
    expected = naive(desk, rows, made, baselines)
    fitted = [(at, always(p)) for at, p in baselines]
    assert join(rows, *fitted) == len(expected)
    assert joined(desk) == expected
    assert join(list(reversed(rows)), *reversed(fitted)) == 0
    outcomes = read_outcomes(desk.engine, "damp", 0, desk.at(100))
    assert len(outcomes) == len(expected)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, forecasts, st.integers(0, 20), terms)
def test_forecasts_in_two_halves_are_forecasts_at_once(desk, join, plain, made, cut, plain_terms):
    desk.clear()
    rows = [(device, desk.at(hour), *rest) for device, hour, *rest in plain]
    fitted = [(desk.at(hour), always(p)) for hour, p in plain_terms]
    put(desk, made[:cut])
    join(rows, *fitted)
    put(desk, made[cut:])
    join(rows, *fitted)
    assert joined(desk) == naive(desk, rows, made, [(desk.at(h), p) for h, p in plain_terms])
