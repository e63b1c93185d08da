"""The open block: what goes in comes out, numbered in the order of the contract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.blocks import Series, entries
from contract.limits import NEW
from contract.quantities import Flag, Quality, Quantity
from contract.records import Held, Reading, Span
from contract.wire import decode, encode
from edge.storage.open_block import Measured, OpenBlock

STREAM = "abcdefghij234"


def test_an_empty_block_cannot_be_closed():
    block = OpenBlock()
    assert (block.records_total, block.opened) == (0, None)
    block.open_at(5, None)
    with pytest.raises(ValueError, match="empty"):
        block.close(STREAM, 1)


def test_the_first_clock_reading_stands(measured, status):
    block = OpenBlock()
    block.open_at(1000, 777_000)
    block.open_at(9000, 999_999)
    block.add_reading(measured(1000))
    block.add_event(1500, status(1500).event)
    assert block.opened == (1000, 777_000)
    closed = block.close(STREAM, 1)
    assert [e.observed_at for e in entries(closed)] == [777_000, 777_000, 777_500]


def test_an_event_of_before_the_first_reading_keeps_its_time(measured, status):
    """An overdue step ends before the tick that notices it."""
    block = OpenBlock()
    block.open_at(1000, 777_000)
    block.add_reading(measured(1000))
    block.add_event(400, status(400).event)
    closed = block.close(STREAM, 1)
    assert closed.offset_ms == 400
    assert [(e.offset_ms, e.observed_at) for e in entries(closed)] == [
        (1000, 777_000),
        (1000, 777_000),
        (400, 776_400),
    ]


def test_closing_twice_gives_equal_blocks(measured):
    block = OpenBlock()
    block.open_at(0, None)
    block.add_reading(measured(0))
    first = block.close(STREAM, 7)
    assert block.close(STREAM, 7) == first
    block.add_reading(measured(10))
    assert first.records_total == 2  # it shares nothing with the open one


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("attic", "cellar", "roof")),
            st.integers(0, 5000),
            st.none() | st.integers(-5500, 15_000),
            st.none() | st.integers(0, 1000),
        ),
        min_size=1,
        max_size=50,
    )
)
def test_every_value_comes_back_with_its_sensor_time_and_quality(rows):
    block, offset_ms, expected = OpenBlock(), 100, []
    block.open_at(offset_ms, None)
    series = (Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1))
    for sensor_id, gap_ms, *values in rows:
        offset_ms += gap_ms
        fine, bad = (Quality.GOOD, ()), (Quality.BAD, (Flag.NO_ANSWER,))
        qualities = tuple(bad if v is None else fine for v in values)
        block.add_reading(Measured(sensor_id, series, offset_ms, tuple(values), qualities))
        for one, value, (quality, flags) in zip(series, values, qualities, strict=True):
            number = None if value is None else value / 10**one.decimals
            reading = Reading(
                sensor_id=sensor_id,
                quantity=one.quantity,
                value=number,
                quality=quality,
                flags=flags,
            )
            expected.append((offset_ms, reading))
    closed = block.close(STREAM, 5)
    assert closed.records_total == block.records_total == 2 * len(rows)
    found = list(entries(decode(encode(closed))))
    assert [e.seq for e in found] == list(range(5, 5 + 2 * len(rows)))
    key = repr
    assert sorted(((e.offset_ms, e.record) for e in found), key=key) == sorted(expected, key=key)


@pytest.mark.parametrize("factor", [6_364_136_223_846_793_005, 1])
def test_the_largest_block_that_may_be_configured_fits_a_message(factor):
    """10,000 records, all of them flagged: none like the other, or all alike (a tiny payload)."""
    block = OpenBlock()
    block.open_at(0, 1_700_000_000_000)
    series = tuple(Series(q, 2) for q in list(Quantity)[:3])
    flags = (Quality.BAD, (Flag.RETRIED, Flag.OUT_OF_RANGE))
    number = 12_345
    for row in range(3334):
        values = []
        for _ in series:
            number = number * factor % 10_000_019
            values.append(number)
        block.add_reading(Measured("attic", series, row * 997, tuple(values), (flags,) * 3))
    assert decode(encode(block.close(STREAM, 1))).records_total == 10_002


def test_a_block_has_room_up_to_the_limits_of_the_contract(measured):
    block = OpenBlock()
    for n in range(NEW.sensors):
        assert block.has_room_for(measured(n, sensor_id=f"s{n}"))
        block.add_reading(measured(n, sensor_id=f"s{n}"))
    assert not block.has_room_for(measured(0, sensor_id="one-more"))
    assert block.has_room_for(measured(0, sensor_id="s0"))
    span = Span(stream_id=STREAM, first=1, last=1)
    block.add_event(0, Held(spans=(span,) * (NEW.parts - 1)))
    assert block.has_room_for(Held(spans=(span,)))
    assert not block.has_room_for(Held(spans=(span, span)))
    for n in range(1, NEW.events):
        assert block.has_room_for(Held())
        block.add_event(n, Held())
    assert not block.has_room_for(Held())
    block.open_at(0, None)
    assert decode(encode(block.close(STREAM, 1))).records_total == block.records_total
