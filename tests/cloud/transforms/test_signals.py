"""Rows of the lake in the form that a rule uses."""

import datetime as dt

import numpy as np
import pyarrow as pa

from cloud.transforms.signals import readings_of


def test_readings_come_in_the_order_in_which_they_were_taken():
    at = int(dt.datetime(2013, 1, 1, tzinfo=dt.UTC).timestamp() * 1000)
    table = pa.table(
        {
            "signal": [f"{name}/humidity" for name in "cbda"],
            "at_ms": [at + 1, at, at + 1, at],
            "seq": [9, 2, 10, 1],
            "value": [3.0, 2.0, None, 1.0],
        }
    )
    found = readings_of(table)
    assert [found.signals[code].sensor_id for code in found.codes] == ["a", "b", "c", "d"]
    assert found.at_ms.tolist() == [at, at, at + 1, at + 1]
    np.testing.assert_array_equal(found.values, [1.0, 2.0, 3.0, np.nan])
