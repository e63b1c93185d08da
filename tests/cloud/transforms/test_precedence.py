"""MySQL and Delta hold the same rows: every order of deliveries, and a transform that changed."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.columns import COLUMNS
from cloud.lake.positions import Cursor
from cloud.transforms.batch import batch_after, write_events, write_readings
from cloud.transforms.delta import merge, table_at
from cloud.transforms.load import load
from cloud.transforms.period import UNSYNCED
from cloud.transforms.schema import READINGS
from contract.keys import UNSYNCED_DAY
from contract.records import Kind, Phase, Status

pytestmark = [pytest.mark.spark, pytest.mark.services]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = date(2013, 7, 15)
FIRST_MS, SECOND_MS = 1_373_846_400_123, 1_373_846_400_124
# A delivery of a record: when it was received, and whether it has a date. None: not in this batch.
DELIVERIES = (None, *itertools.product((FIRST_MS, SECOND_MS), (False, True)))
BATCHES = 3


def instant(ms):
    return EPOCH + timedelta(milliseconds=ms)


def arriving(seq, number, delivery):
    """A row of batch `number`, whose value names the batch."""
    received_ms, dated = delivery
    known = {
        "event_period": "2013-07" if dated else UNSYNCED,
        "device_id": "gw-1",
        "stream_id": "a" * 13,
        "seq": seq,
        "event_day": DAY if dated else UNSYNCED_DAY,
        "observed_at": instant(FIRST_MS) if dated else None,
        "offset_ms": 1000,
        "received_at": instant(received_ms),
        "sensor_id": "attic",
        "quantity": "temperature",
        "value": float(number),
        "quality": "good",
        "source": f"node-{received_ms} {9 - number}",
    }
    return [known.get(name) for name in READINGS.names]


def expected(deliveries):
    """What stands in the end: the rule once more, in Python."""
    stands = None
    for number, delivery in enumerate(deliveries):
        if delivery is None:
            continue
        if stands is None or (delivery[0] <= stands[0][0] and delivery[1] >= stands[0][1]):
            stands = (delivery, float(number))
    return stands


def in_delta(spark, path, kind):
    """Every row of a table in the warehouse's form."""
    rows = table_at(spark, path).toArrow().to_pylist()
    names = [c.name for c in COLUMNS[kind]]
    cells = (tuple(_plain(row[name]) for name in names) for row in rows)
    return sorted(cells, key=lambda row: row[:3])


def _plain(cell):
    if isinstance(cell, datetime):
        return (cell - EPOCH) // timedelta(milliseconds=1)
    return cell


def test_every_order_of_deliveries_leaves_both_stores_equal(new_lake):
    lake = new_lake()
    histories = dict(enumerate(itertools.product(DELIVERIES, repeat=BATCHES), start=1))
    for number in range(BATCHES):
        rows = [
            arriving(seq, number, deliveries[number])
            for seq, deliveries in histories.items()
            if deliveries[number] is not None
        ]
        frame = lake.spark.createDataFrame(rows, READINGS)
        names = [c.name for c in COLUMNS[Kind.READING]]
        lake.loader.load(Kind.READING, frame.select(names), f"b-{number}")
        merge(frame, lake.tables.readings, {"2013-07", UNSYNCED}, len(rows))
    stored = lake.warehouse()[Kind.READING]
    assert in_delta(lake.spark, lake.tables.readings, Kind.READING) == stored
    kept = {seq: expected(deliveries) for seq, deliveries in histories.items()}
    assert {
        row["seq"]: ((row["received_at"], row["event_day"] == DAY), row["value"])
        for row in (dict(zip(names, cells, strict=True)) for cells in stored)
    } == {seq: found for seq, found in kept.items() if found is not None}


def test_the_lake_read_again_by_a_newer_transform_replaces_every_row_in_both(new_lake, gateway):
    lake = new_lake()
    start = gateway.events("b", 1, Status(phase=Phase.START, version="1"))
    lake.fold(gateway.file(gateway.readings("a", 1, 9), start))
    lake.fold(gateway.file(gateway.readings("a", 5, 12)))  # some of it was delivered twice
    lake.transform().run()
    newer = batch_after(lake.spark, lake.tables, Cursor(), lake.folded.load())
    rows = newer.rows.withColumn("value", F.col("value") + 1.5).withColumn("sensor_id", F.lit("x"))
    newer = replace(newer, rows=rows)
    load(newer, lake.loader)
    write_readings(newer, lake.tables)
    write_events(newer, lake.tables)
    stored = lake.warehouse()[Kind.READING]
    assert len(stored) == 12
    assert in_delta(lake.spark, lake.tables.readings, Kind.READING) == stored
    assert {(row[7], row[9]) for row in stored} == {("x", 22.5)}
