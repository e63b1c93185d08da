"""History made by Spark's workers is, number for number, what the driver makes."""

import numpy as np
import pyarrow as pa
import pytest

from cloud.config import Period
from cloud.training.dataset import history_table
from cloud.training.history import HISTORY_SCHEMA, device_history
from cloud.training.lake_history import LakeHistory
from cloud.transforms.delta import Tables
from cloud.transforms.schema import MissingColumns

pytestmark = pytest.mark.spark

DAY = 86_400_000
SCHEMA = (
    "device_id string, stream_id string, seq bigint, sensor_id string, quantity string, "
    "value double, quality string, observed_at timestamp"
)


def until(readings, last_ms):
    return readings.rows(readings.at_ms <= last_ms)


def rows_of(device, readings, draw):
    """The readings as the lake's table holds them; what is not fit to judge by is held in ways."""
    rows = []
    for seq, (code, at, value) in enumerate(
        zip(readings.codes, readings.at_ms.tolist(), readings.values.tolist(), strict=True), 1
    ):
        sensor, quantity = readings.signals[code].sensor_id, readings.signals[code].quantity.value
        quality = "good" if draw.random() < 0.9 else "uncertain"
        told = value
        if np.isnan(value):  # a null, or a figure that its sensor does not believe
            told, quality = (None, quality) if draw.random() < 0.5 else (9_999.0, "bad")
        rows.append((device, "a" * 13, seq, sensor, quantity, told, quality, at))
    return rows


def frame_of(spark, rows, draw):
    columns = [list(c) for c in zip(*(rows[i] for i in draw.permutation(len(rows))), strict=True)]
    columns[-1] = pa.array(
        [None if a is None else a * 1000 for a in columns[-1]], pa.timestamp("us", "UTC")
    )
    names = [part.split()[0] for part in SCHEMA.split(", ")]
    return spark.createDataFrame(pa.table(columns, names=names), SCHEMA).repartition(5)


def ordered(table):
    return table.sort_by([(n, "ascending") for n in ("device_id", "condition_id", "begins_ms")])


def assert_same(found, expected):
    assert found.schema == HISTORY_SCHEMA == expected.schema
    assert found.num_rows == expected.num_rows > 0
    for name in HISTORY_SCHEMA.names:
        left, right = (ordered(t)[name].combine_chunks() for t in (found, expected))
        if pa.types.is_list(left.type):
            left, right = left.flatten(), right.flatten()
        np.testing.assert_array_equal(
            left.to_numpy(zero_copy_only=False), right.to_numpy(zero_copy_only=False), name
        )


def test_workers_and_driver_agree_on_the_real_recording(spark, recording, demo_conditions):
    draw = np.random.default_rng(20130301)
    begin = int(recording["jfk"].at_ms[0])
    last = begin + 20 * DAY
    rows, expected = [], []
    for name, readings in recording.items():
        short = until(readings, begin + 30 * DAY)  # a third of it is later than what is asked for
        rows += rows_of(name, short, draw)
        expected.append(device_history(name, until(short, last), demo_conditions))
    stream = "b" * 13
    rows += [  # none of them may change anything
        ("jfk", stream, 1, "air", "temperature", -40.0, "good", None),  # undated
        ("jfk", stream, 2, "attic", "temperature", -40.0, "good", begin),  # of no condition
        ("nobody", stream, 1, "attic", "humidity", 99.0, "good", begin),
    ]
    found = history_table(frame_of(spark, rows, draw), demo_conditions, last)
    assert_same(found, pa.concat_tables(expected))


def test_nothing_is_made_of_nothing(spark, demo_conditions):
    empty = spark.createDataFrame([], SCHEMA)
    found = history_table(empty, demo_conditions, 0)
    assert found.schema == HISTORY_SCHEMA
    assert found.num_rows == 0


@pytest.mark.parametrize("missing", ["seq", "quality", "observed_at"])
def test_a_missing_column_is_told(spark, demo_conditions, missing):
    frame = spark.createDataFrame([], SCHEMA).drop(missing)
    with pytest.raises(MissingColumns, match=f"missing columns: {missing};"):
        history_table(frame, demo_conditions, 0)


def test_the_lake_says_which_state_was_read(spark, recording, demo_conditions, tmp_path):
    refreshed = []
    lake = LakeHistory(
        spark=spark,
        tables=Tables(root=str(tmp_path), period=Period.MONTH),
        conditions=demo_conditions,
        refreshed=lambda: refreshed.append(1),
    )
    lake.refresh()
    assert refreshed == [1]
    assert lake.version() == "none"
    assert lake.history(10**15).num_rows == 0
    draw = np.random.default_rng(20130302)
    last = int(recording["lga"].at_ms[0]) + 3 * DAY
    short = until(recording["lga"], last)
    frame = frame_of(spark, rows_of("lga", short, draw), draw).coalesce(1)
    frame.write.format("delta").save(lake.tables.readings)
    assert lake.version() == "0"
    assert_same(lake.history(10**15), device_history("lga", short, demo_conditions))
