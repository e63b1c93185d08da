"""Partitions of months on real servers, in any order of months."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cloud.warehouse.aggregate_tables import HOURS
from cloud.warehouse.partitions import add_months, drop_before, month_of, partitions_of

pytestmark = pytest.mark.services

NEW_YEAR = 1_356_998_400_000
FIRST = date(2013, 1, 1)


@pytest.fixture
def hours(empty):
    """A table as the migration makes it, in a database of its own."""
    HOURS.create(empty)
    rest = "PARTITION BY RANGE (TO_DAYS(event_day)) (PARTITION p_rest VALUES LESS THAN MAXVALUE)"
    with empty.begin() as connection:
        connection.execute(text(f"ALTER TABLE agg_hour {rest}"))
    yield empty
    HOURS.drop(empty)


def insert(engine, *days):
    figures = {"values_total": 1, "unusable_total": 0, "coverage_ratio": 1.0}
    rows = [
        {"device_id": "gw-1", "event_day": day, "sensor_id": "a", "quantity": "humidity"}
        | {"begin_at": NEW_YEAR}
        | figures
        for day in days
    ]
    with engine.begin() as connection:
        connection.execute(HOURS.insert(), rows)


def layout(engine):
    with engine.connect() as connection:
        return [(p.begin, p.end) for p in partitions_of(connection, "agg_hour")]


def days_in(engine):
    with engine.connect() as connection:
        query = text("SELECT event_day FROM agg_hour ORDER BY event_day")
        return list(connection.scalars(query))


def held(engine, name):
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT COUNT(*) FROM agg_hour PARTITION ({name})"))


def test_months_are_added_in_any_order_and_once(hours):
    assert layout(hours) == [(None, None)]
    insert(hours, date(2013, 3, 9), date(2014, 1, 1), date(2012, 12, 31))
    days = [date(2013, 3, 31), date(2013, 1, 1), date(2013, 2, 2), date(2013, 12, 25)]
    assert add_months(hours, "agg_hour", days) == 4
    assert add_months(hours, "agg_hour", days) == 0
    assert layout(hours) == [
        (None, date(2013, 1, 1)),
        (date(2013, 1, 1), date(2013, 2, 1)),
        (date(2013, 2, 1), date(2013, 3, 1)),
        (date(2013, 3, 1), date(2013, 4, 1)),
        (date(2013, 4, 1), date(2013, 12, 1)),
        (date(2013, 12, 1), date(2014, 1, 1)),
        (date(2014, 1, 1), None),
    ]
    assert len(days_in(hours)) == 3
    assert held(hours, "p201303") == 1


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(months=st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_each_month_has_its_partition_and_all_days_have_one(hours, months):
    days = [month_of(FIRST + timedelta(days=31 * n)) for n in months]
    add_months(hours, "agg_hour", days)
    parts = layout(hours)
    assert {day for day, _ in parts} >= set(days)
    assert [end for _, end in parts[:-1]] == [begin for begin, _ in parts[1:]]
    assert (parts[0][0], parts[-1][1]) == (None, None)


def test_only_whole_months_before_a_day_are_dropped(hours):
    days = [date(2013, month, 15) for month in (1, 2, 3)]
    add_months(hours, "agg_hour", days)
    insert(hours, *days, date(2012, 6, 1))
    assert drop_before(hours, "agg_hour", date(2013, 2, 28)) == ["b201301", "p201301"]
    assert days_in(hours) == days[1:]
    assert drop_before(hours, "agg_hour", date(2013, 2, 28)) == []
    assert add_months(hours, "agg_hour", [date(2013, 1, 1)]) == 1
    assert drop_before(hours, "agg_hour", date(2030, 1, 1))
    assert days_in(hours) == []
    insert(hours, date(2029, 1, 1))
    assert days_in(hours) == [date(2029, 1, 1)]


def test_a_table_without_partitions_stays_as_it_is(empty):
    HOURS.create(empty)
    assert add_months(empty, "agg_hour", [FIRST]) == 0
    assert drop_before(empty, "agg_hour", date(2030, 1, 1)) == []
    HOURS.drop(empty)
