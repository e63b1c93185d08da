import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.pandas.types import to_arrow_schema

from cloud.columns import COLUMNS, COMMON, row
from cloud.config import Period
from cloud.lake.positions import FileSequence, Position
from cloud.plausible import set_aside
from cloud.search.documents import BlockContext, documents
from cloud.search.names import IndexNames
from cloud.transforms.arrow_blocks import Arrived, event_rows, reading_columns, source_of
from cloud.transforms.decode import arrived_block
from cloud.transforms.schema import DECODED
from contract.blocks import Block, Mark, SensorColumns, Series, entries, kind_of
from contract.limits import NEW
from contract.quantities import Flag, Quality, Quantity
from contract.records import Kind, Statistic
from contract.topics import Lane
from contract.wire import decode, encode

SCHEMA = to_arrow_schema(DECODED, timezone="UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)


@st.composite
def sensors(draw):
    """Columns of any shape that the contract allows: each null has a mark with a reason."""
    rows = draw(st.integers(1, 4))
    series = draw(
        st.lists(
            st.builds(Series, st.sampled_from(Quantity), st.integers(0, 9)), min_size=1, max_size=3
        )
    )
    value = st.none() | st.integers(-(2**53 - 1), 2**53 - 1)
    columns = tuple(
        tuple(draw(st.lists(value, min_size=rows, max_size=rows))) for _ in range(len(series))
    )
    flags = st.lists(st.sampled_from(Flag), max_size=2).map(tuple)
    marks = [
        Mark(place, line, Quality.BAD, (Flag.NO_ANSWER,))
        if cell is None
        else Mark(place, line, draw(st.sampled_from(Quality)), draw(flags))
        for place, column in enumerate(columns)
        for line, cell in enumerate(column)
        if cell is None or draw(st.booleans())
    ]
    steps = draw(st.lists(st.integers(0, 10**8), min_size=rows, max_size=rows))
    return SensorColumns(
        sensor_id=draw(IDS),
        series=tuple(series),
        offsets_ms=tuple(sum(steps[: n + 1]) for n in range(rows)),
        columns=columns,
        marks=tuple(marks),
        calibration=draw(st.none() | IDS),
        statistic=draw(st.none() | st.sampled_from(Statistic)),
        span_s=draw(st.none() | st.floats(0, 1e9)),
        counts=draw(st.sampled_from(((), tuple(range(rows))))),
    )


@st.composite
def arrivals(draw):
    """A block that went over the wire, and where it landed."""
    block = Block(
        stream_id=draw(st.from_regex(r"[a-z2-7]{13}", fullmatch=True)),
        first=draw(st.integers(1, 2**40)),
        offset_ms=0,
        utc_at=draw(st.none() | st.integers(-(10**13), 10**14)),
        sensors=tuple(draw(st.lists(sensors(), min_size=1, max_size=3))),
    )
    return Arrived(
        device_id=draw(IDS),
        received_at=draw(st.integers(0, 10**13)),
        source="node 1",
        block=decode(encode(block)),
    )


def expected(arrived):
    """Each record by way of `cloud.columns.row`, in the columns of `DECODED`."""
    for entry in entries(arrived.block):
        kind = kind_of(entry.record)
        cells = row(arrived.device_id, arrived.block.stream_id, arrived.received_at, entry)
        named = dict(zip((c.name for c in COLUMNS[kind]), cells, strict=True))
        if kind is not Kind.READING:
            common = {c.name: named.pop(c.name) for c in COMMON}
            named = {**common, "fields": json.dumps(named, separators=(",", ":"))}
        whole = dict.fromkeys(SCHEMA.names) | named | {"kind": kind, "source": arrived.source}
        for name in ("observed_at", "received_at"):
            if whole[name] is not None:
                whole[name] = EPOCH + timedelta(milliseconds=whole[name])
        yield whole


@given(arrivals(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_records_that_are_left_out_are_no_rows(made, source):
    seqs = range(made.block.first, made.block.last + 1)
    out = replace(made, left_out=frozenset(seq for seq in seqs if source.random() < 0.5))
    kept = [row for row in expected(made) if row["seq"] not in out.left_out]
    assert shown(reading_columns([out], SCHEMA)) == kept
    assert shown(reading_columns([made, out], SCHEMA)) == [*expected(made), *kept]


@given(arrivals())
@settings(max_examples=100, deadline=None)
def test_spark_leaves_out_what_search_leaves_out(made):
    device, at = made.device_id, made.received_at
    payload = encode(made.block)
    found = arrived_block(payload, NEW, device, at, "node 1")
    rows = {r["seq"] for r in shown(reading_columns([found], SCHEMA))}
    left_out = set_aside(made.block, at).seqs
    origin = BlockContext(device_id=device, received_at=at, left_out=left_out)
    names = IndexNames("t", Period.DAY)
    assert {int(d.id.rpartition(":")[2]) for d in documents(origin, made.block, names)} == rows


def shown(batch):
    assert batch.schema == SCHEMA
    rows = batch.to_pylist()
    return [r | {"flags": r["flags"] and tuple(r["flags"])} for r in rows]


@given(st.lists(arrivals(), max_size=3))
@settings(max_examples=150, deadline=None)
def test_readings_are_what_columns_says(blocks):
    assert shown(reading_columns(blocks, SCHEMA)) == [r for a in blocks for r in expected(a)]


@pytest.mark.parametrize("utc_at", [None, 1_372_895_999_123])
def test_every_kind_is_what_columns_says(full_block, utc_at):
    arrived = Arrived(
        device_id="gw-1", received_at=7, source="node 1", block=full_block(utc_at=utc_at)
    )
    found = [shown(make([arrived], SCHEMA)) for make in (reading_columns, event_rows)]
    assert [*found[0], *found[1]] == list(expected(arrived))
    assert {r["kind"] for r in [*found[0], *found[1]]} == set(Kind)


def test_no_blocks_are_no_rows():
    assert reading_columns([], SCHEMA).num_rows == event_rows([], SCHEMA).num_rows == 0


@given(st.lists(st.tuples(IDS, st.integers(1, 10**9), st.integers(0, 9999)), max_size=8))
def test_places_sort_by_node_number_and_row(places):
    def named(place):
        node, n, line = place
        return source_of(Position(FileSequence(node, "1-a", Lane.LIVE), n), line)

    assert sorted(places) == sorted(places, key=named)
