import itertools
from datetime import UTC, datetime, timedelta

import pytest

from cloud.transforms.deduplicate import deduplicate

pytestmark = pytest.mark.spark

SCHEMA = (
    "device_id string, stream_id string, seq bigint, received_at timestamp, source string,"
    " value double"
)
NOON = datetime(2013, 7, 3, 12, tzinfo=UTC)


def copy(seq, value, *, later_ms=0, source="node-1 000000000001"):
    return ("gw-1", "a" * 13, seq, NOON + timedelta(milliseconds=later_ms), source, value)


COPIES = (
    copy(1, 1.0, later_ms=1, source="node-0 000000000001"),  # a lower place, but later
    copy(1, 2.0, source="node-1 000000000002"),
    copy(1, 3.0, source="node-1 000000000001"),  # the first
    copy(2, 4.0, later_ms=5),
)


@pytest.mark.parametrize("order", [*itertools.permutations(COPIES)][::5])
def test_the_earliest_of_each_key_stays_whatever_the_order(spark, order):
    found = deduplicate(spark.createDataFrame([*order], SCHEMA))
    assert found.columns == spark.createDataFrame([], SCHEMA).columns
    assert sorted((r["seq"], r["value"]) for r in found.collect()) == [(1, 3.0), (2, 4.0)]


def test_keys_differ_in_device_stream_and_number(spark):
    rows = [
        (device, stream * 13, seq, NOON, "node-1", 0.0)
        for device, stream, seq in itertools.product(("gw-1", "gw-2"), "ab", (1, 2))
    ]
    assert deduplicate(spark.createDataFrame(rows, SCHEMA)).count() == 8
