"""The rule by which projections leave records out: its bounds, and each kind of field."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.plausible import (
    AHEAD_MS,
    FIRST_UTC_MS,
    LARGEST_NUMBER,
    NOTHING_SET_ASIDE,
    plausible_instant,
    plausible_number,
    set_aside,
    unaccountable,
)
from contract.blocks import Block, entries
from contract.records import ClockFix, Held, Loss, LossReason, Phase, Span, Status
from tests.builders import EVERY_EVENT, JULY, STREAM, air, timed

YEAR_1, YEAR_9999 = -62_135_596_800_000, 253_402_300_799_999
LARGEST = 2**53 - 1
RECEIVED_AT = JULY + 60_000
FIX = ClockFix(utc_at=JULY, uncertainty_ms=20)


def block(*events, utc_at=JULY, first=1, rows=0):
    sensors = (air(rows),) if rows else ()
    return Block(
        stream_id=STREAM,
        first=first,
        offset_ms=0,
        utc_at=utc_at,
        sensors=sensors,
        events=timed(events),
    )


def span(last, first=1):
    return Span(stream_id=STREAM, first=first, last=last)


def test_the_first_year_is_that_of_the_first_raspberry_pi():
    assert FIRST_UTC_MS == 1_325_376_000_000  # date -u -d 2012-01-01 +%s
    assert not plausible_instant(FIRST_UTC_MS - 1, RECEIVED_AT)
    assert plausible_instant(FIRST_UTC_MS, RECEIVED_AT)


def test_a_clock_may_be_a_day_ahead():
    assert plausible_instant(RECEIVED_AT + 86_400_000, RECEIVED_AT)
    assert not plausible_instant(RECEIVED_AT + 86_400_001, RECEIVED_AT)


def test_numbers_have_a_limit():
    assert plausible_number(None)
    assert plausible_number(LARGEST_NUMBER)
    assert not plausible_number(LARGEST_NUMBER + 1)


def test_a_block_of_every_kind_is_kept():
    assert set_aside(block(*EVERY_EVENT, rows=9), RECEIVED_AT) is NOTHING_SET_ASIDE
    assert set_aside(block(*EVERY_EVENT, rows=9, utc_at=None), RECEIVED_AT) is NOTHING_SET_ASIDE


@pytest.mark.parametrize("utc_at", [YEAR_1, 0, YEAR_9999 - 10_000, JULY + 40 * 365 * AHEAD_MS])
def test_a_wrong_clock_sets_aside_all_records_of_a_block(utc_at):
    made = block(*EVERY_EVENT, utc_at=utc_at, rows=2)
    found = set_aside(made, RECEIVED_AT)
    assert found.seqs == set(range(1, made.last + 1))
    assert found.code == "implausible_time"


def test_only_the_rows_that_are_too_late_are_set_aside():
    sensor = replace(air(3), offsets_ms=(1000, AHEAD_MS + 60_000, AHEAD_MS + 60_001))
    made = replace(block(), sensors=(sensor, air(1)), events=timed([FIX]))
    found = set_aside(made, RECEIVED_AT)
    assert found.seqs == {3, 6}  # the third row of both series
    assert found.reason == (
        "implausible_time: 2 records set aside, first number 3: time 2013-07-05T00:00:59.001Z, "
        "expected 2012-01-01T00:00:00Z to one day after 2013-07-04T00:00:59Z, when it was received"
    )


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (ClockFix(utc_at=YEAR_1, uncertainty_ms=20), "utc_at 0001-01-01T00:00:00Z"),
        (ClockFix(utc_at=YEAR_9999, uncertainty_ms=20), "utc_at 9999-12-31T23:59:59.999Z"),
        (Loss(reason=LossReason.UNCLEAN_STOP, from_at=YEAR_1, to_at=JULY), "from_at 0001-01-01"),
        (Loss(reason=LossReason.UNCLEAN_STOP, from_at=JULY, to_at=YEAR_9999), "to_at 9999-12-31"),
    ],
)
@pytest.mark.parametrize("utc_at", [None, JULY])
def test_an_instant_inside_of_a_record_counts_too(event, what, utc_at):
    found = set_aside(block(FIX, event, FIX, utc_at=utc_at, rows=2), RECEIVED_AT)
    assert (found.seqs, found.code) == ({6}, "implausible_time")
    assert f"1 record set aside, first number 6: {what}" in found.reason


@pytest.mark.parametrize(
    "event",
    [
        Held(spans=(span(9), span(LARGEST, LARGEST - 20))),
        Loss(reason=LossReason.BUDGET, lost=span(LARGEST)),
        Loss(reason=LossReason.UNCLEAN_STOP, estimated_total=LARGEST),
        Status(phase=Phase.START, version="1", previous_stream_id=STREAM, previous_last=LARGEST),
    ],
)
def test_a_number_that_no_stream_reaches(event):
    found = set_aside(block(FIX, event, rows=2), RECEIVED_AT)
    assert (found.seqs, found.code) == ({6}, "implausible_number")
    assert f"{LARGEST}, expected at most {LARGEST_NUMBER}" in found.reason
    assert unaccountable(event)
    assert not any(unaccountable(e.record) for e in entries(block(*EVERY_EVENT, rows=1)))


def test_a_block_that_numbers_its_records_so_is_set_aside_as_a_whole():
    made = block(FIX, first=LARGEST - 20, rows=5)
    found = set_aside(made, RECEIVED_AT)
    assert found.seqs == set(range(LARGEST - 20, LARGEST - 9))
    assert "implausible_number: 11 records set aside" in found.reason


@given(st.none() | st.integers(YEAR_1, YEAR_9999 - 10**6), st.integers(0, 10**14))
def test_what_is_kept_is_what_the_rule_says_of_each_record(utc_at, received_at):
    made = block(FIX, Held(), utc_at=utc_at, rows=3)
    found = set_aside(made, received_at).seqs
    for entry in entries(made):
        times = [entry.observed_at] if entry.observed_at is not None else []
        times += [entry.record.utc_at] if isinstance(entry.record, ClockFix) else []
        assert (entry.seq in found) is not all(plausible_instant(t, received_at) for t in times)
