"""Summaries as part of the transform, on real Delta tables and a real database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text

from cloud.aggregates.dimensions import Declared
from cloud.aggregates.run import Summaries
from cloud.config import SiteConfig
from cloud.errors import WarehouseError
from cloud.lake.positions import Cursor, Position
from cloud.transforms.run import Transform
from cloud.transforms.schema import READINGS
from cloud.warehouse.aggregate_rows import mark_due
from cloud.warehouse.aggregate_tables import (
    AGGREGATES,
    CONDITION_DAYS,
    DAYS,
    DIM_CONDITIONS,
    DIM_DEVICES,
    DIM_SENSORS,
    DIM_SITES,
    DUE,
    HOURS,
)
from cloud.warehouse.jdbc import JdbcWriter
from cloud.warehouse.jdbc_tls import JdbcTls
from contract.blocks import Block
from contract.records import ClockFix
from contract.signals import Signal
from models.conditions import Comparison, Condition
from tests.builders import temperatures

pytestmark = [pytest.mark.spark, pytest.mark.services]

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
DAY_MS = 86_400_000
WARM = Condition(
    id="warm",
    signal=Signal.parse("attic/temperature"),
    comparison=Comparison.ABOVE,
    limit=21.0,
    step_s=600,
    max_age_s=1800,
)
BERLIN = SiteConfig(id="mill", time_zone="Europe/Berlin", devices=("ewr-01",))
FOLLOWING = (*AGGREGATES, DIM_DEVICES, DIM_SENSORS, DIM_SITES, DIM_CONDITIONS)


class Site:
    """A lake whose transform also summarizes."""

    def __init__(self, lake, sites=(BERLIN,), conditions=(WARM,)):
        self.lake = lake
        self.declared = Declared(sites=sites, conditions=conditions)

    def summaries(self):
        return Summaries(
            spark=self.lake.spark,
            tables=self.lake.tables,
            engine=self.lake.engine,
            writer=JdbcWriter(self.lake.engine, JdbcTls(None)),
            declared=self.declared,
        )

    def transform(self, summarizer=None):
        return Transform(
            self.lake.spark,
            self.lake.tables,
            folded=self.lake.folded,
            cursor=self.lake.cursor,
            loader=self.lake.loader,
            summarizer=summarizer or self.summaries(),
        )

    def run(self, *files):
        if files:
            self.lake.fold(*files)
        return self.transform().run()

    def rows(self, table=None):
        """Rows of one table, or of all that follow the readings."""
        tables = FOLLOWING if table is None else (table,)
        with self.lake.engine.connect() as connection:
            found = {
                t.name: [dict(r) for r in connection.execute(_ordered(t)).mappings()]
                for t in tables
            }
        return found if table is None else found[table.name]

    def due(self):
        return [row["event_day"] for row in self.rows(DUE)]


def _ordered(table):
    return select(table).order_by(*table.primary_key)


@pytest.fixture
def new_site(new_lake, warehouse):
    def make(**declared):
        with warehouse.begin() as connection:
            for table in (*FOLLOWING, DUE):
                connection.execute(table.delete())
        return Site(new_lake(), **declared)

    return make


def readings(gateway, stream, first, begin_ms, values, every_s=600):
    """A block of temperatures from an instant on, one each ten minutes."""
    columns = temperatures(
        [round(v * 100) for v in values], [1000 * every_s * n for n in range(len(values))]
    )
    return Block(
        stream_id=gateway.stream(stream),
        first=first,
        offset_ms=0,
        utc_at=begin_ms,
        sensors=(columns,),
    )


def at(day, hour=0.0):
    return NEW_YEAR + round(day * DAY_MS + hour * 3_600_000)


def received(gateway, day):
    gateway.at = at(day)


def test_a_run_summarizes_each_day_that_it_touches(new_site, gateway):
    site = new_site()
    received(gateway, 3)
    site.run(gateway.file(readings(gateway, "a", 1, at(0), [20.0, 22.0, 24.0] * 48)))
    (utc, *local) = sorted(site.rows(DAYS), key=lambda r: r["calendar"] != "utc")
    assert (utc["values_total"], utc["lowest"], utc["mean"], utc["highest"]) == (144, 20, 22, 24)
    assert utc["coverage_ratio"] == 1.0
    assert [(r["length_s"], r["values_total"]) for r in local] == [(86_400, 138), (86_400, 6)]
    assert [r["values_total"] for r in site.rows(HOURS)] == [6] * 24
    (warm,) = site.rows(CONDITION_DAYS)
    # 48 steps at 1 degree beyond, 48 at 3
    assert (warm["beyond_s"], warm["degree_minutes"]) == (96 * 600, 48 * 10 * (1 + 3))
    assert site.due() == []
    (sensor,) = site.rows(DIM_SENSORS)
    assert (sensor["unit"], sensor["calibration"]) == ("°C", None)
    assert sensor["first_day"] == sensor["last_day"] == datetime(2013, 1, 1, tzinfo=UTC).date()
    assert [(d["device_id"], d["site_id"]) for d in site.rows(DIM_DEVICES)] == [("ewr-01", "mill")]
    assert site.rows(DIM_CONDITIONS)[0]["signal"] == "attic/temperature"


def undated(block):
    """The same block of a gateway whose clock is not trusted yet."""
    return replace(block, utc_at=None)


def alone(file, node):
    """The same file as the first one of another ingest node."""
    sequence = replace(file.position.sequence, node=node)
    return replace(file, position=Position(sequence, 1))


def days_file(gateway, stream, days, value=20.0):
    blocks = [
        readings(gateway, stream, 1 + 144 * n, at(day), [value] * 144) for n, day in enumerate(days)
    ]
    return gateway.file(*blocks)


def test_late_data_repeated_batches_and_any_order_give_the_same_tables(new_site, gateway):
    received(gateway, 9)
    early = alone(days_file(gateway, "a", (0, 2)), "n-1")
    late = alone(days_file(gateway, "b", (1, 2), 23.0), "n-2")
    waiting = alone(gateway.file(undated(readings(gateway, "c", 1, at(0), [25.0] * 6))), "n-3")
    fix = ClockFix(utc_at=at(1, 5), uncertainty_ms=20)
    fixed = alone(gateway.file(gateway.events("c", 7, fix)), "n-4")
    one = new_site()
    one.run(early, late, waiting, fixed)
    kept = one.rows()
    assert {r["event_day"].day for r in kept["agg_hour"]} == {1, 2, 3}
    other = new_site()
    other.run(waiting, late)
    other.run(fixed)
    other.run(early)
    assert other.rows() == kept
    other.lake.cursor.save(Cursor())  # the whole lake again
    other.run()
    assert other.rows() == kept


class Interrupted(Exception):
    """The process died here."""


class Dying:
    """Summaries that die at one of their steps."""

    def __init__(self, summaries, step):
        self.summaries, self.step = summaries, step

    def mark(self, batch):
        self.summaries.mark(batch)
        if self.step == "after marks":
            raise Interrupted

    def catch_up(self):
        if self.step == "after summaries":
            self.summaries.catch_up()
        raise Interrupted


@pytest.mark.parametrize("step", ["after marks", "before summaries", "after summaries"])
def test_rows_that_a_fix_dated_are_summarized_after_a_run_that_died(new_site, gateway, step):
    """The next batch no longer has these rows: only the marks name their days."""
    received(gateway, 9)
    first = gateway.file(undated(readings(gateway, "c", 1, at(0), [25.0] * 6)))
    fixed = gateway.file(gateway.events("c", 7, ClockFix(utc_at=at(1, 5), uncertainty_ms=20)))
    site = new_site()
    site.run(first)
    assert site.rows(HOURS) == []
    site.lake.fold(fixed)
    with pytest.raises(Interrupted):
        site.transform(Dying(site.summaries(), step)).run()
    site.run()
    assert [r["values_total"] for r in site.rows(HOURS)] == [1, 5]
    assert site.due() == []


# from here on straight from rows of table `readings`


def stored(device_id, begin_ms, values, every_s=600, **cells):
    """Rows of the lake's table."""
    for n, value in enumerate(values):
        instant = datetime.fromtimestamp(begin_ms / 1000, UTC) + timedelta(seconds=n * every_s)
        row = dict.fromkeys(READINGS.names) | {
            "event_period": f"{instant:%Y-%m}",
            "device_id": device_id,
            "stream_id": "a" * 13,
            "seq": n + 1,
            "event_day": instant.date(),
            "observed_at": instant,
            "offset_ms": 0,
            "received_at": instant,
            "sensor_id": "attic",
            "quantity": "temperature",
            "value": value,
            "quality": "good" if value is not None else "bad",
            "source": "x",
        }
        yield row | cells


def append(site, *rows):
    """Adds rows to the lake's table, and marks their days."""
    made = [tuple(row[name] for name in READINGS.names) for row in rows]
    frame = site.lake.spark.createDataFrame(made, READINGS)
    writer = frame.write.format("delta").mode("append")
    writer.partitionBy("event_period").save(site.lake.tables.readings)
    mark_due(site.lake.engine, {(row["device_id"], row["event_day"]) for row in rows})


def test_only_marked_days_are_written_again_and_lost_days_lose_their_rows(new_site):
    site = new_site(sites=(), conditions=())
    append(site, *stored("gw-1", at(0), [20.0] * 432))
    assert site.summaries().catch_up() == 3
    with site.lake.engine.begin() as connection:  # so that a row written again is seen
        connection.execute(text("UPDATE agg_hour SET lowest = -1"))
    append(site, *stored("gw-1", at(1, 0.05), [30.0], stream_id="b" * 13, calibration="c-2"))
    site.summaries().catch_up()
    rows = site.rows(HOURS)
    assert {r["event_day"].day for r in rows if r["lowest"] != -1} == {2}
    assert max(r["highest"] for r in rows) == 30.0
    path = site.lake.tables.readings
    site.lake.spark.sql(f"DELETE FROM delta.`{path}` WHERE event_day >= DATE'2013-01-02'")
    mark_due(site.lake.engine, [("gw-1", date(2013, 1, day)) for day in (2, 3)])
    site.summaries().catch_up()
    assert {r["event_day"].day for r in site.rows(HOURS)} == {1}
    (sensor,) = site.rows(DIM_SENSORS)
    assert (sensor["first_day"].day, sensor["last_day"].day) == (1, 1)
    (device,) = site.rows(DIM_DEVICES)
    assert (device["first_day"], device["last_day"]) == (sensor["first_day"], sensor["last_day"])


class AwayWriter:
    def append(self, rows, table):
        raise WarehouseError(f"nobody answers for {len(rows.columns)} columns of {table}")


def test_days_stay_due_until_their_summaries_are_stored(new_site):
    site = new_site(sites=())
    append(site, *stored("gw-1", at(0), [20.0] * 200))
    broken = replace(site.summaries(), writer=AwayWriter())
    with pytest.raises(WarehouseError, match="nobody answers"):
        broken.catch_up()
    assert [day.day for day in site.due()] == [1, 2]
    site.summaries().catch_up()
    assert site.due() == []


def test_changed_declarations_are_followed(new_site):
    site = new_site()
    append(site, *stored("ewr-01", at(0), [22.0] * 288))
    site.summaries().catch_up()
    kept = site.rows()
    colder = replace(WARM, limit=5.0)
    moved = replace(BERLIN, time_zone="America/St_Johns")
    site.declared = Declared(sites=(moved,), conditions=(colder,))
    assert site.summaries().catch_up() == 2
    changed = site.rows()
    assert {r["degree_minutes"] for r in changed["agg_condition_day"]} == {17.0 * 1440}
    assert changed["agg_day"] != kept["agg_day"]
    louder = replace(WARM, warn_at=0.9)
    site.declared = Declared(sites=(BERLIN,), conditions=(louder,))
    assert site.summaries().catch_up() == 2
    site.declared = Declared(sites=(BERLIN,), conditions=(WARM,))
    assert site.summaries().catch_up() == 0, "warn_at changes no summary"
    assert site.rows() == kept
    site.declared = Declared(sites=(), conditions=())
    site.summaries().catch_up()
    bare = site.rows()
    assert {r["calendar"] for r in bare["agg_day"]} == {"utc"}
    assert bare["agg_condition_day"] == bare["agg_condition_hour"] == bare["dim_condition"] == []
    site.declared = Declared(sites=(), conditions=None)  # another host, without [fleet]
    assert site.summaries().catch_up() == 0


def test_one_device_with_most_rows_one_with_nulls_and_thinned_rows(new_site):
    site = new_site(conditions=())
    rows = [
        *stored("busy", at(0), [20.0] * 25_000, every_s=120),
        *stored("empty", at(0), [None] * 144),
        *stored("ewr-01", at(0), [21.0] * 9),
        *stored("ewr-01", at(0), [99.0] * 9, statistic="max", stream_id="c" * 13),
        # an older program stored what its clock said
        *stored("ewr-01", at(9), [99.0], received_at=datetime(2013, 1, 2, tzinfo=UTC), seq=99),
    ]
    append(site, *rows)
    site.summaries().catch_up()
    days = [r for r in site.rows(DAYS) if r["calendar"] == "utc"]
    totals = {}
    for row in days:
        count = totals.setdefault(row["device_id"], [0, 0, 0])
        for place, number in enumerate((1, row["values_total"], row["unusable_total"])):
            count[place] += number
    assert totals == {"busy": [35, 25_000, 0], "empty": [1, 0, 144], "ewr-01": [1, 9, 0]}
    (null,) = [r for r in days if r["device_id"] == "empty"]
    assert (null["mean"], null["last_at"], null["coverage_ratio"]) == (None, None, 0.0)
