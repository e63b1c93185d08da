import random
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F  # noqa: N812

from cloud.clock_fix import Fix, first_fix
from cloud.plausible import FIRST_UTC_MS
from cloud.transforms.clock_fix import date_rows, first_fixes, fixed_observed_at
from contract.keys import UNSYNCED_DAY, event_day

pytestmark = pytest.mark.spark

SEED = 1907
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JULY = 1_372_895_999_123
LATEST = 253_402_300_799_999
EDGES = [
    (0, 0, JULY),
    (5, 10, JULY),
    (86_400_000, 0, JULY),
    (86_400_001, 0, JULY),  # more than a day ahead
    (0, 86_400_000, 0),  # 1969
    (0, 0, 5),  # the day that means "not known"
    (1, 0, LATEST),
    (0, 0, LATEST),
    (0, 1, -62_135_596_800_000),
    (2**53 - 1, 0, JULY),
    (0, 0, FIRST_UTC_MS),
    (0, 1, FIRST_UTC_MS),
]
ROWS = (
    "device_id string, stream_id string, offset_ms bigint, observed_at timestamp, event_day date, "
    "received_at timestamp"
)
FIXES = (
    "device_id string, stream_id string, seq bigint, offset_ms bigint, utc_at timestamp, "
    "received_at timestamp"
)


def instant(ms):
    return EPOCH + timedelta(milliseconds=ms)


def test_the_column_agrees_with_the_shared_arithmetic(spark):
    print("seed", SEED)
    source = random.Random(SEED)
    cases = [(*edge, JULY) for edge in EDGES] + [
        (
            source.randrange(10**9),
            source.randrange(10**9),
            source.randrange(-(10**12), 10**13),
            source.randrange(10**13),
        )
        for _ in range(200)
    ]
    names = ("offset_ms", "fix_offset_ms", "utc_ms", "received_ms")
    frame = spark.createDataFrame(cases, ", ".join(f"{name} bigint" for name in names))
    at, received_at = (F.timestamp_millis(name) for name in names[2:])
    told = fixed_observed_at(F.col("offset_ms"), F.col("fix_offset_ms"), at, received_at)
    found = frame.select(*names, F.unix_millis(told)).collect()
    assert len(found) == len(cases)
    for offset_ms, fix_offset_ms, utc_at, received_ms, ms in found:
        fix = Fix(seq=1, offset_ms=fix_offset_ms, utc_at=utc_at)
        assert ms == fix.observed_at(offset_ms, received_ms), (offset_ms, fix, received_ms)
    assert any(row[-1] is None for row in found)
    assert any(row[-1] is not None for row in found[len(EDGES) :])


def test_the_first_fix_of_a_stream_is_the_one_with_the_lowest_number(spark):
    fixes = [Fix(seq=s, offset_ms=s * 7, utc_at=JULY + s) for s in (9, 3, 5)]
    rows = [("gw-1", "a" * 13, f.seq, f.offset_ms, instant(f.utc_at), instant(JULY)) for f in fixes]
    rows.append(("gw-2", "a" * 13, 1, 0, instant(JULY), instant(JULY)))
    # An older program stored them: they give no dates, and do not hide a good one.
    rows.append(("gw-2", "a" * 13, 0, 0, instant(FIRST_UTC_MS - 1), instant(JULY)))
    rows.append(("gw-3", "a" * 13, 1, 0, instant(JULY + 86_400_001), instant(JULY)))
    found = first_fixes(spark.createDataFrame(rows, FIXES)).orderBy("device_id").toArrow()
    first = first_fix(fixes)
    assert found.to_pylist() == [
        {
            "device_id": "gw-1",
            "stream_id": "a" * 13,
            "fix_offset_ms": first.offset_ms,
            "fix_utc_at": instant(first.utc_at),
        },
        {
            "device_id": "gw-2",
            "stream_id": "a" * 13,
            "fix_offset_ms": 0,
            "fix_utc_at": instant(JULY),
        },
    ]


def test_only_undated_rows_of_that_stream_are_dated(spark):
    came = instant(JULY + 86_400_000)
    undated, dated = (None, UNSYNCED_DAY, came), (instant(JULY), event_day(JULY), came)
    rows = [
        ("gw-1", "a" * 13, 10, *undated),
        ("gw-1", "a" * 13, 20, *dated),
        ("gw-1", "b" * 13, 30, *undated),
        ("gw-2", "a" * 13, 40, *undated),
    ]
    fix = ("gw-1", "a" * 13, 1, 1000, instant(JULY + 86_400_000), came)
    fixes = first_fixes(spark.createDataFrame([fix], FIXES))
    found = date_rows(spark.createDataFrame(rows, ROWS), fixes)
    assert found.schema == spark.createDataFrame([], ROWS).schema
    told = JULY + 86_400_000 + 10 - 1000
    assert [tuple(r.values()) for r in found.orderBy("offset_ms").toArrow().to_pylist()] == [
        ("gw-1", "a" * 13, 10, instant(told), event_day(told), came),
        ("gw-1", "a" * 13, 20, *dated),
        ("gw-1", "b" * 13, 30, *undated),
        ("gw-2", "a" * 13, 40, *undated),
    ]
