"""kill -9 of the process that replaces summaries, at moments drawn at random."""

import random
import signal
import subprocess
import sys
import time
from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from cloud.warehouse.aggregate_rows import mark_due
from cloud.warehouse.aggregate_tables import DAYS, DIM_DEVICES, DIM_SENSORS, DUE, HOURS
from cloud.warehouse.engine import connect
from cloud.warehouse.migrate import migrate
from cloud.warehouse.tables import METADATA

pytestmark = pytest.mark.services

FIRST = date(2013, 1, 1)
DUES = [(f"gw-{n}", FIRST + timedelta(days=d)) for n in range(4) for d in range(12)]
KILLS = 8
# What a transform does for its marked days, without Spark: a few days in each transaction.
WORKER = """
import sys
from datetime import UTC, datetime, time
from cloud.warehouse.aggregate_rows import (
    StagedDay, clear_staged, due_days, new_attempt, replace_days,
)
from cloud.warehouse.aggregate_tables import STAGED_ROWS
from cloud.warehouse.engine import connect

engine = connect(sys.argv[1])
while due := due_days(engine, 3):
    attempt = new_attempt()
    clear_staged(engine)
    rows = []
    for device_id, day in due:
        begin = round(datetime.combine(day, time(), UTC).timestamp() * 1000)
        own = {"attempt": attempt, "device_id": device_id, "event_day": day, "sensor_id": "a"}
        own |= {"quantity": "humidity", "values_total": 6, "unusable_total": 0}
        own |= {"coverage_ratio": 1.0, "mean": float(day.day)}
        rows.append(own | {"level": "day", "begin_at": begin, "length_s": 86400})
        for hour in range(24):
            at = begin + hour * 3600000
            rows.append(own | {"level": "hour", "begin_at": at, "length_s": 3600})
    with engine.begin() as connection:
        connection.execute(STAGED_ROWS.insert(), rows)
    replace_days(engine, attempt, [StagedDay("utc", *day) for day in due])
"""


@pytest.fixture
def engine(database):
    made = connect(database.url)
    migrate(made)
    yield made
    made.dispose()


def begin(engine):
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
    mark_due(engine, DUES)


def found(engine):
    with engine.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(select(t).order_by(*t.primary_key))]
            for t in (HOURS, DAYS, DIM_DEVICES, DIM_SENSORS, DUE)
        ]


def test_days_are_summarized_or_still_due_after_each_kill(engine, database):
    command = [sys.executable, "-c", WORKER, database.url]
    begin(engine)
    began_s = time.monotonic()
    subprocess.run(command, check=True, timeout=300)
    whole_s = time.monotonic() - began_s
    kept = found(engine)
    assert (len(kept[0]), len(kept[1]), kept[4]) == (len(DUES) * 24, len(DUES), [])
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    begin(engine)
    for _ in range(KILLS):
        worker = subprocess.Popen(command)
        try:
            worker.wait(draw.uniform(0.3, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGKILL)
            worker.wait(60)
        with engine.connect() as connection:
            query = text("SELECT device_id, event_day FROM agg_day")
            done = {tuple(row) for row in connection.execute(query)}
            due = {tuple(row) for row in connection.execute(select(DUE))}
        assert done | due == set(DUES)
        assert not done & due
    subprocess.run(command, check=True, timeout=300)
    assert found(engine) == kept
