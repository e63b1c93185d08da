"""The loader on a real database: staging, upsert, and what is left of broken attempts."""

import pytest

from cloud.errors import WarehouseError
from cloud.transforms.batch import batch_after
from cloud.transforms.kinds import of_kind
from cloud.warehouse.engine import connect
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.loader import StagingLoader, staged
from contract.records import Kind

pytestmark = [pytest.mark.spark, pytest.mark.services]


@pytest.fixture
def batch(new_lake, gateway):
    lake = new_lake()
    lake.fold(gateway.file(gateway.readings("a", 1, 9), gateway.start("b")))
    return lake, batch_after(lake.spark, lake.tables, lake.cursor.load(), lake.folded.load())


BROKEN_OFF = (
    "INSERT INTO stg_reading (batch_id, device_id, stream_id, seq, event_day, offset_ms,"
    " received_at, sensor_id, quantity, quality) VALUES"
    " ('b-1', 'gw-9', 'ccccccccccccc', 1, '2013-01-01', 0, '2013-01-01', 's', 'q', 'good')"
)


def test_loading_twice_is_loading_once_whatever_a_broken_attempt_left(batch):
    lake, made = batch
    rows = of_kind(made.rows, Kind.READING)
    assert lake.loader.load(Kind.READING, rows, "b-1") == 9
    once = lake.warehouse()
    with lake.engine.begin() as connection:
        connection.exec_driver_sql(BROKEN_OFF)
    assert lake.loader.load(Kind.READING, rows, "b-1") == 9
    assert lake.warehouse() == once
    assert len(once[Kind.READING]) == 9
    assert lake.staged_total() == 0


def test_lists_become_json_text_and_stay_null(spark):
    schema = "device_id string, flags array<string>"
    others = [
        "stream_id",
        "seq",
        "event_day",
        "observed_at",
        "offset_ms",
        "received_at",
        "sensor_id",
        "quantity",
        "value",
        "quality",
        "calibration",
        "statistic",
        "span_s",
        "count",
    ]
    frame = spark.createDataFrame([("gw-1", ["jump", "stuck"]), ("gw-2", None)], schema)
    frame = frame.selectExpr("*", *(f"null AS `{name}`" for name in others))
    found = staged(frame, Kind.READING, "b-1").orderBy("device_id").collect()
    assert [(r["batch_id"], r["flags"]) for r in found] == [
        ("b-1", '["jump","stuck"]'),
        ("b-1", None),
    ]


def test_a_server_that_is_away_is_a_warehouse_error(batch):
    _, made = batch
    away = StagingLoader(connect("mysql+pymysql://dew:no@127.0.0.1:9/dewline"), JdbcTls(None))
    with pytest.raises(WarehouseError) as caught:
        away.load(Kind.READING, of_kind(made.rows, Kind.READING), "b-1")
    assert caught.value.retryable
