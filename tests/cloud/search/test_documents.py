import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloud.clock_fix import Fix
from cloud.config import Period
from cloud.search.documents import BlockContext, documents, entry_document
from cloud.search.names import IndexNames
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent, entries
from contract.quantities import Flag, Quality, Quantity
from contract.records import ClockFix, Held, Phase, Span, Statistic, Status

STREAM = "aaaaaaaaaaaaa"
UTC_AT = 1_356_998_400_000  # 2013-01-01T00:00:00Z
DAILY = IndexNames("dewline", Period.DAY)
MONTHLY = IndexNames("dewline", Period.MONTH)
ORIGIN = BlockContext(device_id="gw-1", received_at=UTC_AT + 5)

MARKS = st.tuples(
    st.sampled_from(list(Quality)), st.lists(st.sampled_from(list(Flag)), max_size=2, unique=True)
)


@st.composite
def sensor_columns(draw):
    rows = draw(st.integers(1, 4))
    series = draw(st.lists(st.builds(Series, st.sampled_from(list(Quantity)), st.integers(0, 9))))
    series = series or [Series(Quantity.HUMIDITY, 1)]
    cells = st.none() | st.integers(-(2**53), 2**53)
    marks = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(range(len(series))), st.sampled_from(range(rows))),
            MARKS,
            max_size=3,
        )
    )
    steps = draw(st.lists(st.integers(0, 90_000_000), min_size=rows, max_size=rows))
    return SensorColumns(
        sensor_id=draw(st.sampled_from(["attic", "cellar-2"])),
        series=tuple(series),
        offsets_ms=tuple(1000 + sum(steps[: i + 1]) for i in range(rows)),
        columns=tuple(tuple(draw(cells) for _ in range(rows)) for _ in series),
        marks=tuple(Mark(s, r, q, tuple(flags)) for (s, r), (q, flags) in marks.items()),
        calibration=draw(st.none() | st.just("cal-7")),
        statistic=draw(st.none() | st.sampled_from(list(Statistic))),
        span_s=draw(st.none() | st.floats(0, 1e9)),
        counts=draw(st.just(()) | st.tuples(*[st.integers(0, 9)] * rows)),
    )


@st.composite
def blocks(draw):
    return Block(
        stream_id=STREAM,
        first=draw(st.integers(1, 2**40)),
        offset_ms=1000,
        utc_at=draw(st.none() | st.integers(-(10**12), 10**13)),
        sensors=tuple(draw(st.lists(sensor_columns(), max_size=2))),
        events=(
            TimedEvent(2000, Status(phase=Phase.START, version='a "quoted" ü')),
            TimedEvent(3000, Held(spans=(Span(stream_id=STREAM, first=1, last=2),))),
        ),
    )


@given(blocks(), st.sampled_from([DAILY, MONTHLY]))
def test_fast_and_slow_path_make_the_same_documents(block, names):
    fast = list(documents(ORIGIN, block, names))
    slow = [entry_document(ORIGIN, STREAM, entry, names) for entry in entries(block)]
    assert [d[:2] for d in fast] == [d[:2] for d in slow]
    assert [json.loads(d.body) for d in fast] == [json.loads(d.body) for d in slow]
    assert [d.id for d in fast] == [
        f"gw-1:{STREAM}:{n}" for n in range(block.first, block.last + 1)
    ]


@given(blocks(), st.integers(0, 10**9), st.integers(133 * 10**10, 2 * 10**12))
def test_a_fix_dates_an_undated_block_as_if_its_clock_had_been_right(block, offset_ms, utc_at):
    undated = Block(
        stream_id=STREAM,
        first=block.first,
        offset_ms=1000,
        utc_at=None,
        sensors=block.sensors,
        events=block.events,
    )
    dated = Block(
        stream_id=STREAM,
        first=block.first,
        offset_ms=1000,
        utc_at=utc_at + 1000 - offset_ms,
        sensors=block.sensors,
        events=block.events,
    )
    fix = Fix(seq=1, offset_ms=offset_ms, utc_at=utc_at)
    origin = BlockContext(device_id="gw-1", received_at=3 * 10**12)
    made = documents(replace(origin, fix=fix), undated, DAILY)
    expected = documents(origin, dated, DAILY)
    assert [(d[:2], json.loads(d.body)) for d in made] == [
        (d[:2], json.loads(d.body)) for d in expected
    ]


def test_a_reading_written_out():
    # 25.08 Cel is the BME280 datasheet's worked example (section 8.2 of revision 1.6: T = 2508).
    sensor = SensorColumns(
        sensor_id="attic",
        series=(Series(Quantity.TEMPERATURE, 2),),
        offsets_ms=(1000, 86_401_000),
        columns=((2508, None),),
        marks=(Mark(0, 1, Quality.BAD, (Flag.NO_ANSWER,)),),
    )
    block = Block(stream_id=STREAM, first=7, offset_ms=1000, utc_at=UTC_AT, sensors=(sensor,))
    first, second = documents(ORIGIN, block, DAILY)
    assert (first.index_name, first.id) == ("dewline-reading-2013.01.01", f"gw-1:{STREAM}:7")
    assert json.loads(first.body) == {
        "device_id": "gw-1",
        "stream_id": STREAM,
        "seq": 7,
        "event_day": "2013-01-01",
        "observed_at": UTC_AT,
        "@timestamp": UTC_AT,
        "offset_ms": 1000,
        "received_at": UTC_AT + 5,
        "sensor_id": "attic",
        "quantity": "temperature",
        "value": 25.08,
        "quality": "good",
    }
    assert second.index_name == "dewline-reading-2013.01.02"
    body = json.loads(second.body)
    assert "value" not in body
    assert (body["quality"], body["flags"]) == ("bad", ["no_answer"])


def test_undated_records_wait_in_an_index_of_their_own():
    fix = TimedEvent(2000, ClockFix(utc_at=UTC_AT, uncertainty_ms=50))
    block = Block(stream_id=STREAM, first=1, offset_ms=0, utc_at=None, events=(fix,))
    (document,) = documents(ORIGIN, block, MONTHLY)
    assert document.index_name == "dewline-clock-fix-unsynced"
    body = json.loads(document.body)
    assert body["event_day"] == "1970-01-01"
    assert not {"observed_at", "@timestamp"} & body.keys()
    fixed = BlockContext(
        device_id="gw-1", received_at=UTC_AT, fix=Fix(seq=1, offset_ms=2000, utc_at=UTC_AT)
    )
    (document,) = documents(fixed, block, MONTHLY)
    assert document.index_name == "dewline-clock-fix-2013.01"  # the year's index
