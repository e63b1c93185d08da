import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from cloud.columns import COLUMNS, ColumnType, row
from cloud.transforms.decode import arrived_block, decode
from cloud.transforms.kinds import collapse, expand, of_kind
from cloud.transforms.schema import DECODED, MissingColumns, kind_schema
from contract.blocks import Block, TimedEvent, entries, kind_of
from contract.limits import NEW, STORED
from contract.records import Kind, Phase, Status
from contract.wire import dictionary

pytestmark = pytest.mark.spark

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECEIVED_AT = 1_372_896_059_124


def cells(kind, values):
    """Cells of `row` as Arrow gives them back."""
    found = []
    for column, value in zip(COLUMNS[kind], values, strict=True):
        if value is not None and column.type is ColumnType.INSTANT:
            found.append(EPOCH + timedelta(milliseconds=value))
        elif value is not None and column.type is ColumnType.WORDS:
            found.append(list(value))
        else:
            found.append(value)
    return tuple(found)


def rows(frame):
    return [tuple(r.values()) for r in frame.toArrow().to_pylist()]


@pytest.fixture(scope="module")
def decoded(raw_frame, full_block):
    return decode(
        raw_frame(full_block(), b"\x01garbage", full_block(utc_at=None, stream_id="b" * 13))
    )


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_what_columns_says(decoded, full_block, kind):
    frame = of_kind(decoded, kind)
    assert frame.schema == kind_schema(kind)
    made = (full_block(), full_block(utc_at=None, stream_id="b" * 13))
    expected = [
        cells(kind, row("gw-1", block.stream_id, RECEIVED_AT, entry))
        for block in made
        for entry in entries(block)
        if kind_of(entry.record) is kind
    ]
    assert sorted(rows(frame), key=str) == sorted(expected, key=str)
    assert expected


def test_expanded_events_collapse_to_what_they_were(decoded):
    events = decoded.where("kind != 'reading'")
    again = expand(collapse(expand(events)))
    assert again.schema == expand(events).schema
    assert sorted(rows(again), key=str) == sorted(rows(expand(events)), key=str)


def test_what_cannot_be_decoded_is_passed_over(raw_frame):
    # 200 years beyond the year 9999: no store can hold the time
    late = Block(
        stream_id="a" * 13,
        first=1,
        offset_ms=0,
        utc_at=253_402_300_799_999,
        events=(TimedEvent(6_307_200_000_000, Status(phase=Phase.STOP, version="1")),),
    )
    frame = decode(raw_frame(b"", b"\x09", late))
    assert frame.schema == DECODED
    assert frame.count() == 0


def test_a_frame_without_payloads_is_refused(raw_frame, full_block):
    with pytest.raises(MissingColumns, match="missing columns: payload; present are: received_at"):
        decode(raw_frame(full_block()).drop("payload"))


def test_a_block_beyond_the_limits_for_new_ones_is_read_only_if_the_lake_accepted_it():
    """Ingest gives no stream to a new one; an old one has its stream, and remains readable."""
    document = {"schema": 1, "clock": "unsynced", "stream": "a" * 13, "first": 1, "at": [0]}
    sensor = {"sensor": "attic", "series": [["temperature", "Cel", 2]], "data": [0, 425]}
    large = json.dumps(document | {"sensors": [sensor] * (NEW.sensors + 1)}).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=dictionary(1))
    payload = b"\x01" + deflate.compress(large) + deflate.flush()
    assert arrived_block(payload, NEW, "gw-1", RECEIVED_AT, "node 1") is None
    old = arrived_block(payload, STORED, "gw-1", RECEIVED_AT, "node 1")
    assert old is not None
    assert old.block.records_total == NEW.sensors + 1
