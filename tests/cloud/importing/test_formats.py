"""Each format gives the same readings for the same content, and names the lines it cannot read."""

import gzip
import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloud.errors import HistoryError
from contract.quantities import Quality

MAPPING = """
format = "{format}"
[time]
columns = ["time"]
[device]
column = "host"
[sensor]
column = "sensor"
[[value]]
column = "temp"
quantity = "temperature"
[[value]]
column = "hum"
quantity = "humidity"
"""
AT = 1_704_067_200_000  # 2024-01-01T00:00:00Z
EXPECTED = [
    ("gw-1", "attic/humidity", AT + 1000, 51.0),
    ("gw-1", "attic/temperature", AT, -1.5),
    ("gw-1", "attic/temperature", AT + 1000, 20.25),
]
CSV = """time,host,sensor,temp,hum
2024-01-01T00:00:00Z,gw-1,attic,-1.5,
2024-01-01T00:00:01Z,gw-1,attic,20.25,51
"""
NDJSON = """{"time": "2024-01-01T00:00:00Z", "host": "gw-1", "sensor": "attic", "temp": -1.5}

{"time": "2024-01-01T00:00:01Z", "host": "gw-1", "sensor": "attic", "temp": 20.25, "hum": "51"}
"""
LINES = """# a comment
air,host=gw-1,sensor=attic temp=-1.5,note="a, b=c" 1704067200000000000
air,host=gw-1,sensor=attic temp=20.25,hum=51i 1704067201000000000
"""
ANNOTATED = """#group,false,false,true,true,true,true
#datatype,string,long,dateTime:RFC3339,string,string,double
#default,_result,,,gw-1,,
,result,table,time,host,sensor,temp,hum
,,0,2024-01-01T00:00:00Z,,attic,-1.5,

#group,false,false,true,true,true,true
#default,_result,,,,,
,result,table,hum,temp,time,host,sensor
,,1,51,20.25,2024-01-01T00:00:01Z,gw-1,attic
"""


def parquet():
    table = pa.table(
        {
            "time": pa.array(
                [datetime(2024, 1, 1, 0, 0, s, tzinfo=UTC) for s in (0, 1)],
                pa.timestamp("us", "UTC"),
            ),
            "host": pa.array(["gw-1", "gw-1"]).dictionary_encode(),
            "sensor": ["attic", "attic"],
            "temp": [-1.5, 20.25],
            "hum": pa.array([None, 51], pa.int32()),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


CASES = {
    "csv": CSV,
    "ndjson": NDJSON,
    "line_protocol": LINES,
    "annotated_csv": ANNOTATED,
    "parquet": parquet(),
}


def mapping(name):
    text = MAPPING.format(format=name)
    if name == "line_protocol":
        return text.replace('["time"]', '["time"]\nformat = "epoch_ns"')
    return text


@pytest.mark.parametrize("name", CASES)
def test_the_same_content_gives_the_same_readings(lake, run, file_of, mapping_of, name):
    outcome = run(file_of(CASES[name]), mapping_of(mapping(name)))
    assert [r[:4] for r in lake.readings()] == EXPECTED
    assert (outcome.readings, outcome.missing, outcome.refused) == (3, 1, ())
    assert {r[4] for r in lake.readings()} == {Quality.GOOD}


@pytest.mark.parametrize("name", ["csv", "ndjson", "line_protocol"])
def test_a_compressed_file_is_read_too(lake, run, file_of, mapping_of, name):
    packed = gzip.compress(CASES[name].encode())
    run(file_of(packed, "file.gz"), mapping_of(mapping(name)))
    assert [r[:4] for r in lake.readings()] == EXPECTED


@pytest.mark.parametrize("name", CASES)
def test_bytes_of_another_kind_refuse_rows_or_the_file(lake, run, file_of, mapping_of, name):
    noise = bytes(range(256)) * 40
    if name in {"csv", "annotated_csv", "parquet"}:
        with pytest.raises(HistoryError, match=r"file\.csv"):
            run(file_of(noise), mapping_of(mapping(name)))
    else:
        outcome = run(file_of(noise), mapping_of(mapping(name)))
        assert outcome.readings == 0
        assert outcome.refused
    assert lake.readings() == []


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("ndjson", "[1, 2]\n{\n" + "[" * 100_000 + "\n"),
        ("line_protocol", "air temp\nair,host temp=1 1\n=\n"),
        ("csv", "short,row\n" + "x" * 200_000 + ",1,2,3,4\n" + "1,2,3,4,5,6\n"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_line(run, file_of, mapping_of, name, bad):
    text = CASES[name]
    outcome = run(file_of(text + bad), mapping_of(mapping(name)))
    (refused,) = outcome.refused
    first = text.count("\n") + 1
    assert (refused.reason, refused.total) == ("bad_row", 3)
    assert refused.lines == (first, first + 1, first + 2)
    assert outcome.readings == 3


def test_a_quote_without_an_end_costs_lines_that_are_counted(run, file_of, mapping_of):
    rows = [f"2024-01-01T00:00:{n % 60:02d}Z,gw-{n // 60},attic,1,2\n" for n in range(6000)]
    rows[10] = '2024-01-01T00:00:10Z,"gw-0,attic,1,2\n'
    text = "time,host,sensor,temp,hum\n" + "".join(rows)
    outcome = run(file_of(text), mapping_of(mapping("csv")))
    (refused,) = outcome.refused
    assert refused.reason == "bad_row"
    assert refused.lines[0] == 12
    assert outcome.readings + 2 * refused.total == 12_000


def test_a_quote_without_an_end_at_the_end_is_counted_too(run, file_of, mapping_of):
    text = CSV + '2024-01-01T00:00:02Z,"gw\n1,2,3,4,5\n'
    outcome = run(file_of(text), mapping_of(mapping("csv")))
    assert [(r.reason, r.lines) for r in outcome.refused] == [("bad_row", (4, 5))]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_names_the_file(run, file_of, mapping_of, damage):
    packed = bytearray(gzip.compress(CSV.encode() * 50))
    if damage == "cut":
        packed = packed[:-20]
    else:
        packed[len(packed) // 2] ^= 255
    with pytest.raises(HistoryError, match=r"file\.gz cannot be read"):
        run(file_of(bytes(packed), "file.gz"), mapping_of(mapping("csv")))


def test_lines_are_counted_in_cells_with_line_ends(run, file_of, mapping_of):
    text = CSV.replace("attic,20", '"at\ntic",20') + "2024-01-01T00:00:02Z,gw-1,attic,x,1\n"
    outcome = run(file_of(text), mapping_of(mapping("csv")))
    assert [(r.reason, r.lines) for r in outcome.refused] == [("not_a_number", (5,))]


def test_a_header_may_come_late_and_names_may_be_patterns(lake, run, file_of, mapping_of):
    text = "Logger;7\n\nSerial;8\nTime;Temp (S/N 1234);RH\n2024-01-01 00:00;1,5;40,5;\n"
    keys = 'id = "d"\n[csv]\ndelimiter = ";"\ndecimal_mark = ","\nheader_begins = "Time"\n'
    mapped = (
        MAPPING.format(format="csv")
        .replace('column = "host"', keys)
        .replace('column = "sensor"', 'id = "s"')
        .replace('"temp"', '"Temp (*)"')
        .replace('"hum"', '"RH"')
        .replace('["time"]', '["Time"]\nzone = "UTC"')
    )
    run(file_of(text), mapping_of(mapped))
    assert [r[1:4] for r in lake.readings()] == [
        ("s/humidity", AT, 40.5),
        ("s/temperature", AT, 1.5),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("time;host;sensor;temp\n", "column 'time' is not in the header, which has: time;host"),
        ("time,host,sensor,temp,hum,temp\n", "several columns fit 'temp'"),
    ],
)
def test_a_file_that_does_not_fit_says_so(run, file_of, mapping_of, text, message):
    with pytest.raises(HistoryError, match=message):
        run(file_of(text), mapping_of(mapping("csv")))


def test_another_encoding_and_no_header(lake, run, file_of, mapping_of):
    text = "2024-01-01T00:00:00Z\tgw-1\tKühlraum 1\t1\t2\n"
    columns = '[csv]\nencoding = "utf-16"\ndelimiter = "\\t"\n'
    columns += 'columns = ["time", "host", "sensor", "temp", "hum"]\n[device]'
    mapped = mapping("csv").replace("[device]", columns)
    run(file_of(text.encode("utf-16")), mapping_of(mapped))
    assert {r[1] for r in lake.readings()} == {
        "k-hlraum-1/humidity",
        "k-hlraum-1/temperature",
    }
