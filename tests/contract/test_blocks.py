from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.blocks import (
    Block,
    ClockState,
    Entry,
    Mark,
    SensorColumns,
    Series,
    TimedEvent,
    entries,
    kind_of,
    kinds_total,
)
from contract.quantities import Flag, Quality, Quantity
from contract.records import EVENT_TYPES, RECORD_TYPES, Held, Kind, Reading, Statistic

Blocks = st.SearchStrategy[Block]

ATTIC = SensorColumns(
    sensor_id="attic",
    series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.PRESSURE, 0)),
    offsets_ms=(5_000, 6_500),
    columns=((425, None), (100_842, 100_840)),
    marks=(
        Mark(0, 1, Quality.BAD, (Flag.CHECK_FAILED,)),
        Mark(1, 0, Quality.GOOD, (Flag.RETRIED,)),
    ),
)
BLOCK = Block(
    stream_id="ynoicv4oqjyxi",
    first=7,
    offset_ms=5_000,
    utc_at=1_768_460_400_000,
    sensors=(ATTIC,),
    events=(TimedEvent(5_250, Held()),),
)


def reading(quantity: Quantity, value: float | None, quality: Quality, *flags: Flag) -> Reading:
    return Reading(sensor_id="attic", quantity=quantity, value=value, quality=quality, flags=flags)


def test_numbers_run_down_each_series_then_over_the_events() -> None:
    t, p = Quantity.TEMPERATURE, Quantity.PRESSURE
    assert list(entries(BLOCK)) == [
        Entry(7, 5_000, 1_768_460_400_000, reading(t, 4.25, Quality.GOOD)),
        Entry(8, 6_500, 1_768_460_401_500, reading(t, None, Quality.BAD, Flag.CHECK_FAILED)),
        Entry(9, 5_000, 1_768_460_400_000, reading(p, 100_842.0, Quality.GOOD, Flag.RETRIED)),
        Entry(10, 6_500, 1_768_460_401_500, reading(p, 100_840.0, Quality.GOOD)),
        Entry(11, 5_250, 1_768_460_400_250, Held()),
    ]
    assert (BLOCK.records_total, BLOCK.last, BLOCK.clock) == (5, 11, ClockState.SYNCED)
    assert kinds_total(BLOCK) == {Kind.READING: 4, Kind.HELD: 1}


def test_a_thinned_row_says_what_it_stands_for() -> None:
    sensor = replace(ATTIC, statistic=Statistic.MEAN, span_s=60.0, counts=(60, 57))
    found = [e.record for e in entries(replace(BLOCK, sensors=(sensor,), events=()))]
    assert [(r.statistic, r.span_s, r.count) for r in found if isinstance(r, Reading)] == [
        ("mean", 60.0, 60),
        ("mean", 60.0, 57),
    ] * 2


def test_a_value_is_the_double_nearest_to_the_quotient() -> None:
    sensor = replace(
        ATTIC, series=(Series(Quantity.TEMPERATURE, 3),), columns=((2_675, -1),), marks=()
    )
    values = [e.record.value for e in entries(replace(BLOCK, sensors=(sensor,), events=()))]  # type: ignore[union-attr]
    assert values == [2.675, -0.001]


@settings(max_examples=40)
@given(data=st.data())
def test_numbers_follow_each_other_and_every_record_is_counted(
    data: st.DataObject, blocks: Blocks
) -> None:
    block = data.draw(blocks)
    found = list(entries(block))
    assert [e.seq for e in found] == list(range(block.first, block.last + 1))
    assert Counter(kind_of(e.record) for e in found) == kinds_total(block)
    assert sum(kinds_total(block).values()) == block.records_total == len(found)


@settings(max_examples=40)
@given(data=st.data())
def test_utc_and_offset_tell_the_same_distance(data: st.DataObject, blocks: Blocks) -> None:
    block = data.draw(blocks)
    for entry in entries(block):
        if block.clock is ClockState.UNSYNCED:
            assert entry.observed_at is None
        else:
            assert entry.observed_at is not None
            assert block.utc_at is not None
            assert entry.observed_at - block.utc_at == entry.offset_ms - block.offset_ms


@settings(max_examples=40)
@given(data=st.data())
def test_a_value_is_null_exactly_where_it_is_bad_for_a_reason(
    data: st.DataObject, blocks: Blocks
) -> None:
    for entry in entries(data.draw(blocks)):
        if isinstance(entry.record, Reading) and entry.record.value is None:
            assert entry.record.quality is Quality.BAD
            assert entry.record.flags


def test_every_kind_has_its_class_and_every_class_its_kind() -> None:
    assert set(RECORD_TYPES) == set(Kind)
    assert {kind: cls for cls, kind in EVENT_TYPES.items()} == {
        kind: cls for kind, cls in RECORD_TYPES.items() if kind is not Kind.READING
    }
