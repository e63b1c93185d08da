"""Excursions of a made history: peak, mean, how long and how far, and their causes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from cloud.monitoring.excursions import Excursion, excursions, write_excursions
from cloud.monitoring.truth import write_truth
from cloud.quality.retrospective import DeviceSpan
from cloud.quality.spans import Fault, Span
from cloud.quality.verdicts import Verdicts
from cloud.training.history import History, device_history
from cloud.warehouse.aggregate_tables import EXCURSIONS
from cloud.warehouse.model_tables import TRUTH
from cloud.warehouse.tables import FACTS
from contract.keys import event_day
from contract.records import Kind
from contract.signals import Signal
from models.conditions import Comparison, Condition
from models.replay import Readings

NEW_YEAR = 1_356_998_400_000
STEP_MS = 600_000
COOLER = Condition(
    id="cooler",
    signal=Signal.parse("box/temperature"),
    comparison=Comparison.ABOVE,
    limit=8.0,
    hysteresis=1.0,
    duration_s=600,
    step_s=600,
    max_age_s=1200,
)


def history(values, device_id="gw-1", condition=COOLER):
    """Steps of ten minutes; None for a step without a reading."""
    known = [(n, value) for n, value in enumerate(values) if value is not None]
    readings = Readings.of_rows(
        [Signal.parse("box/temperature")] * len(known),
        np.array([NEW_YEAR + n * STEP_MS for n, _ in known], dtype=np.int64),
        np.array([value for _, value in known], dtype=np.float64),
    )
    return History.of(device_history(device_id, readings, (condition,)), condition.id)


def at(step):
    return NEW_YEAR + step * STEP_MS


def test_the_figures_of_an_excursion():
    values = [5.0, 5.0, 9.0, 10.0, 12.0, 7.5, 7.5, 7.0, 5.0]
    (found,) = excursions(history(values), COOLER)
    # true after ten minutes beyond, false at 7.0, one degree below the limit
    assert found == Excursion(
        device_id="gw-1",
        began_at=at(3),
        ended_at=at(7),
        peak=12.0,
        peak_at=at(4),
        mean=(10 + 12 + 7.5 + 7.5) / 4,
        steps_total=4,
        beyond_s=1200,
        degree_minutes=(2 + 4) * 10.0,
        causes=(),
    )


def test_below_a_limit_the_peak_is_the_lowest_value():
    below = replace(COOLER, comparison=Comparison.BELOW, limit=2.0)
    (found,) = excursions(history([3.0, 1.0, 0.5, -1.5, 0.0], condition=below), below)
    assert (found.peak, found.ended_at, found.degree_minutes) == (-1.5, None, 70.0)


def test_intervals_are_those_of_the_truth():
    draw = np.random.default_rng(4)
    values = [None if draw.random() < 0.1 else float(v) for v in draw.normal(8, 2, 500)]
    made = history(values)
    truth = [(d, i.began_at, i.ended_at) for d, i in made.truth()]
    assert len(truth) > 20
    assert [(e.device_id, e.began_at, e.ended_at) for e in excursions(made, COOLER)] == truth


@pytest.mark.parametrize(
    ("values", "causes"),
    [
        ([5.0, 9.0, 9.0, None, 9.0, 5.0], ("data_gap",)),
        ([9.0, 9.0, 9.0, 5.0], ()),
        ([5.0, *[None] * 9, 9.0, 9.0, 5.0], ()),
    ],
)
def test_gaps_are_causes(values, causes):
    (found,) = excursions(history(values), COOLER)
    assert found.causes == causes


def test_a_condition_that_is_true_with_the_first_step_began_after_a_gap():
    at_once = replace(COOLER, duration_s=0)
    (found,) = excursions(history([9.0, 9.0, 5.0], condition=at_once), at_once)
    assert found.causes == ("after_gap",)
    gap = history([5.0, *[None] * 9, 9.0, 9.0, 5.0], condition=at_once)
    assert [e.causes for e in excursions(gap, at_once)] == [("after_gap",)]


def rows(engine):
    with engine.connect() as connection:
        query = select(EXCURSIONS).order_by(*EXCURSIONS.primary_key)
        return [dict(row) for row in connection.execute(query).mappings()]


def flagged(step, flags, sensor_id="box"):
    return {
        "device_id": "gw-1",
        "stream_id": "a" * 13,
        "seq": step + 1,
        "event_day": event_day(at(step)),
        "observed_at": at(step),
        "offset_ms": 0,
        "received_at": at(step),
        "sensor_id": sensor_id,
        "quantity": "temperature",
        "value": 9.0,
        "quality": "uncertain",
        "flags": flags,
    }


@pytest.mark.services
def test_they_are_written_as_the_truth_with_the_flags_of_their_readings(warehouse):
    with warehouse.begin() as connection:
        for row in (
            flagged(3, '["jump","stuck"]'),
            flagged(4, '["stuck"]'),
            flagged(0, '["retried"]'),
            flagged(5, '["disagrees"]', "door"),
        ):
            connection.execute(FACTS[Kind.READING].insert(), [row])
    made = history([5.0, 5.0, 9.0, 10.0, 12.0, None, 7.5, 7.0, 5.0])
    write_truth(warehouse, "cooler", made.truth())
    assert write_excursions(warehouse, COOLER, made) == 1
    (row,) = rows(warehouse)
    assert row["causes"] == "data_gap,jump,stuck"
    assert math.isclose(row["mean"], (10 + 12 + 12 + 7.5) / 4)
    assert write_excursions(warehouse, COOLER, made) == 0
    with warehouse.begin() as connection:  # retention
        connection.execute(FACTS[Kind.READING].delete())
    assert write_excursions(warehouse, COOLER, made) == 0
    later = history([5.0, 5.0, 9.0, 10.0, 12.0, 13.0, 7.5, 7.0, 5.0])
    assert write_excursions(warehouse, COOLER, later) == 1
    assert [r["causes"] for r in rows(warehouse)] == [""]
    assert write_excursions(warehouse, COOLER, history([5.0] * 9)) == 1
    assert rows(warehouse) == []
    with warehouse.connect() as connection:
        assert len(connection.execute(select(TRUTH)).all()) == 1


def test_faults_that_detectors_found_are_causes_until_they_are_found_no_more(warehouse):
    made = history([5.0, 5.0, 9.0, 10.0, 12.0, 7.5, 7.5, 7.0, 5.0])
    box, door = Signal.parse("box/temperature"), Signal.parse("door/temperature")
    spans = [
        DeviceSpan("gw-1", span(box, Fault.DRIFT, at(4), at(20))),
        DeviceSpan("gw-1", span(box, Fault.SPIKE, at(0), at(1))),  # before the interval
        DeviceSpan("gw-1", span(door, Fault.STUCK, at(0), at(20))),  # of another sensor
        DeviceSpan("gw-2", span(box, Fault.STUCK, at(0), at(20))),  # of another device
    ]
    assert write_excursions(warehouse, COOLER, made, Verdicts(spans=tuple(spans))) == 1
    assert [row["causes"] for row in rows(warehouse)] == ["detected:drift"]
    assert write_excursions(warehouse, COOLER, made, Verdicts(spans=tuple(spans))) == 0
    assert write_excursions(warehouse, COOLER, made) == 1
    assert [row["causes"] for row in rows(warehouse)] == [""]


def span(signal, fault, begin_ms, end_ms):
    return Span(
        signal=signal, fault=fault, begin_ms=begin_ms, end_ms=end_ms, known_ms=begin_ms, figure=1.0
    )
