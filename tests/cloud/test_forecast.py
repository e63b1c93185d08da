"""The shape of a forecast: what every store makes of its dataclass."""

import pyarrow as pa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from cloud.columns import ColumnType
from cloud.forecast import FORECAST_COLUMNS, Forecast
from cloud.scoring.score import _SCHEMA
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS

FORECAST = Forecast(
    device_id="ewr-01",
    stream_id="a" * 13,
    seq=2**53 - 1,
    condition_id="humid",
    model="m",
    version="v",
    issued_at=1_357_084_799_999,
    horizon_s=21_600,
    probability=0.1,
    late=True,
)


def test_an_instant_is_an_instant_and_everything_is_required():
    types = {column.name: column.type for column in FORECAST_COLUMNS}
    assert types["issued_at"] is ColumnType.INSTANT
    assert types["seq"] is ColumnType.INTEGER
    assert types["probability"] is ColumnType.REAL
    assert types["late"] is ColumnType.BOOLEAN
    assert all(column.required for column in FORECAST_COLUMNS)


def test_the_frame_of_spark_gives_a_forecast_back():
    row = {name: getattr(FORECAST, name) for name in _SCHEMA.names}
    (back,) = pa.Table.from_pylist([row], schema=_SCHEMA).to_pylist()
    assert Forecast(**back) == FORECAST


def test_the_table_is_the_one_that_the_migration_made():
    made = str(CreateTable(CLOUD_PREDICTIONS).compile(dialect=mysql.dialect()))
    cells = [line.strip(" \t,") for line in made.splitlines() if "NOT NULL" in line]
    assert cells == [
        "device_id VARCHAR(63) NOT NULL",
        "stream_id VARCHAR(13) NOT NULL",
        "seq BIGINT NOT NULL",
        "condition_id VARCHAR(63) NOT NULL",
        "model VARCHAR(63) NOT NULL",
        "version VARCHAR(63) NOT NULL",
        "issued_at DATETIME(3) NOT NULL",
        "horizon_s BIGINT NOT NULL",
        "probability DOUBLE NOT NULL",
        "late BOOL NOT NULL",
    ]
