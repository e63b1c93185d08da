"""Rows become readings: selection, units, qualities, rounding, and what is refused for a value."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.quantities import Flag, Quality
from tests.cloud.importing.plain_mapping import ROOM

AT = 1_704_067_200_000  # 2024-01-01T00:00:00Z
ROW = "2024-01-01 00:00"


def values(lake):
    return [(r[1], r[3], r[4], r[5]) for r in lake.readings()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4.5", 4.5),
        (" 4.5 ", 4.5),
        ("-0", 0.0),
        ("1e1", 10.0),
        ("+4.005", 4.0),  # hundredths, as the double 4.005 is a little less
        (".5", 0.5),
    ],
)
def test_a_number_is_rounded_to_the_decimals(lake, run, file_of, mapping_of, text, value):
    run(file_of(f"time,temp\n{ROW},{text}\n"), mapping_of())
    assert values(lake) == [("room/temperature", value, Quality.GOOD, ())]


@pytest.mark.parametrize("text", ["x", "1,5", "nan", "inf", "-inf", "1e999", "0x10", "1_000", "--"])
def test_what_is_no_number_is_refused(lake, run, file_of, mapping_of, text):
    rows = f'time,temp\n{ROW},"{text}"\n2024-01-01 00:01,7\n'
    outcome = run(file_of(rows), mapping_of())
    assert [(r.reason, r.lines) for r in outcome.refused] == [("not_a_number", (2,))]
    assert [v[1] for v in values(lake)] == [7.0]


def test_a_number_with_too_many_digits_is_refused(run, file_of, mapping_of):
    outcome = run(file_of(f"time,temp\n{ROW},1e300\n"), mapping_of())
    assert [(r.reason, r.total) for r in outcome.refused] == [("too_large", 1)]


@pytest.mark.parametrize("text", ["", "n/a", "  ", "-999"])
def test_a_missing_value_is_no_reading(lake, run, file_of, mapping_of, text):
    mapping = mapping_of('missing = ["n/a", "-999"]\n' + ROOM)
    outcome = run(file_of(f"time,temp\n{ROW},{text}\n"), mapping)
    assert (outcome.missing, outcome.refused, values(lake)) == (1, (), [])


QUALITY = """
[quality]
column = "q"
values = { 0 = "good", 1 = "uncertain stuck", 2 = "bad" }
"""


def test_qualities_and_the_plausible_range(lake, run, file_of, mapping_of):
    rows = "time,temp,q\n" + "".join(
        f"2024-01-01 00:0{n},{value},{q}\n"
        for n, (value, q) in enumerate([(1, 0), (2, 1), (3, 2), (400, 0), (401, 1), (5, "?")])
    )
    outcome = run(file_of(rows), mapping_of(QUALITY + ROOM))
    assert [v[1:] for v in values(lake)] == [
        (1.0, Quality.GOOD, ()),
        (2.0, Quality.UNCERTAIN, (Flag.STUCK,)),
        (3.0, Quality.BAD, ()),
        (400.0, Quality.BAD, (Flag.OUT_OF_RANGE,)),
        (401.0, Quality.BAD, (Flag.STUCK, Flag.OUT_OF_RANGE)),
    ]
    assert [(r.reason, r.text) for r in outcome.refused] == [("bad_quality", "?")]


LONG = """
[time]
columns = ["time"]
zone = "UTC"
[device]
column = "dev"
values = { A = "gw-1" }
[sensor]
column = "place"
[[value]]
column = "v"
when = { kind = "T" }
quantity = "temperature"
unit_column = "unit"
[[value]]
column = "v"
when = { kind = "C" }
quantity = "contact"
numbers = { open = 0, closed = 1 }
decimals = 0
"""


def test_a_long_file_has_kinds_units_and_words_for_numbers(lake, run, file_of, mapping_of):
    rows = f"""time,dev,place,kind,unit,v
{ROW},A,Room 1,T,°C,4
{ROW},A,Room 2,T,°F,50
{ROW},A,door,C,,closed
{ROW},A,door,W,,7
{ROW},A,Room 3,T,furlong,7
{ROW},B,Room 1,T,°C,7
{ROW},A,,T,°C,7
{ROW},A,door,C,,ajar
"""
    outcome = run(file_of(rows), mapping_of(LONG))
    assert [v[:2] for v in values(lake)] == [
        ("door/contact", 1.0),
        ("room-1/temperature", 4.0),
        ("room-2/temperature", 10.0),
    ]
    assert {(r.reason, r.lines, r.text) for r in outcome.refused} == {
        ("bad_unit", (6,), "furlong of temperature"),
        ("not_mapped", (7,), "B"),
        ("no_sensor", (8,), ""),
        ("not_a_number", (9,), "ajar"),
    }


def test_numbers_of_parquet_keep_their_type(lake, run, mapping_of, tmp_path):
    table = pa.table(
        {
            "time": pa.array([ROW, "2024-01-01 00:01", "2024-01-01 00:02"]),
            "temp": pa.array([1.5, float("nan"), float("inf")]),
        }
    )
    pq.write_table(table, tmp_path / "f.parquet")
    outcome = run(tmp_path / "f.parquet", mapping_of('format = "parquet"\n' + ROOM))
    assert ([v[1] for v in values(lake)], outcome.missing) == ([1.5], 1)
    assert [(r.reason, r.lines) for r in outcome.refused] == [("not_a_number", (3,))]
