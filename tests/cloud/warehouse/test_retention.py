"""Retention on real servers: whole months go, undated readings and the rest stay."""

from datetime import date

import pytest
from sqlalchemy import select, text

from cloud.warehouse.aggregate_tables import HOURS, MINUTES
from cloud.warehouse.migrate import migrate
from cloud.warehouse.partitions import add_months
from cloud.warehouse.retention import MONTHLY, Kept, retire
from cloud.warehouse.tables import FACTS
from contract.keys import UNSYNCED_DAY
from contract.records import Kind

pytestmark = pytest.mark.services

READINGS = FACTS[Kind.READING]
DAYS = tuple(date(2013, month, 10) for month in range(1, 7))
TODAY = date(2013, 6, 20)


def reading(number, day):
    return {
        "device_id": "gw-1",
        "stream_id": "a" * 13,
        "seq": number + 1,
        "event_day": day,
        "observed_at": None,
        "offset_ms": 0,
        "received_at": 1_371_686_400_000,
        "sensor_id": "a",
        "quantity": "humidity",
        "value": 50.0,
        "quality": "good",
    }


def minute(day):
    figures = {"values_total": 9, "unusable_total": 0, "coverage_ratio": 1.0}
    own = {"device_id": "gw-1", "event_day": day, "sensor_id": "a", "quantity": "humidity"}
    return own | figures | {"begin_at": 1_371_686_400_000}


def fill(engine):
    with engine.begin() as connection:
        rows = [reading(n, day) for n, day in enumerate((UNSYNCED_DAY, *DAYS))]
        connection.execute(READINGS.insert(), rows)
        for table in (HOURS, MINUTES):
            connection.execute(table.insert(), [minute(day) for day in DAYS])


def days_of(engine, table):
    with engine.connect() as connection:
        return sorted(connection.scalars(select(table.c.event_day)))


def test_whole_months_go_and_undated_readings_and_hours_stay(warehouse):
    for table in MONTHLY:
        add_months(warehouse, table, DAYS)
    fill(warehouse)
    assert retire(warehouse, Kept(), TODAY) == 0
    assert days_of(warehouse, MINUTES) == list(DAYS)
    # 90 days before are 2013-03-22: March is not over then
    assert retire(warehouse, Kept(readings_days=90, minutes_days=30), TODAY) == 2
    assert days_of(warehouse, READINGS) == [UNSYNCED_DAY, *DAYS[2:]]
    assert days_of(warehouse, MINUTES) == list(DAYS[4:])
    assert days_of(warehouse, HOURS) == list(DAYS)
    assert retire(warehouse, Kept(readings_days=90, minutes_days=30), TODAY) == 0


def test_the_migration_marks_the_days_of_an_older_program(empty):
    migrate(empty)
    days = (UNSYNCED_DAY, *DAYS[:2])
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        rows = [reading(n, day) | {"observed_at": 0 if n else None} for n, day in enumerate(days)]
        connection.execute(READINGS.insert(), rows)
    migrate(empty)
    with empty.connect() as connection:
        due = connection.scalars(text("SELECT event_day FROM aggregate_due")).all()
    assert sorted(due) == list(DAYS[:2])
