"""A stream's times."""

import pytest

from edge.sensing.timeline import StreamTime


def test_offsets_begin_with_the_stream(wound_clock, new_year):
    clock = wound_clock(end_s=1e9, now_s=100.0)
    time = StreamTime(clock, "s")
    clock.now_s = 103.5
    assert time.offset_ms() == 3500
    assert time.monotonic_s(3500) == 103.5
    assert time.utc_of(3500) == new_year + 103_500
    assert time.phase_s == pytest.approx(new_year / 1000)


def test_unknown_utc(wound_clock):
    time = StreamTime(wound_clock(end_s=1, calendar=lambda _: None), "s")
    assert (time.utc_of(5), time.phase_s, time.timeline.of_offset(5)) == (None, 0.0, 5)
    assert not time.has_jumped()
    assert not time.has_drifted()


@pytest.mark.parametrize(
    ("moved_ms", "jumped", "drifted"),
    [
        (0, False, False),
        (10, False, False),
        (11, False, True),
        (500, False, True),
        (501, True, True),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_slew_is_no_jump(wound_clock, new_year, moved_ms, jumped, drifted, sign):
    shift = {"ms": 0}
    clock = wound_clock(end_s=1, calendar=lambda s: new_year + round(s * 1000) + shift["ms"])
    time = StreamTime(clock, "s")
    shift["ms"] = sign * moved_ms
    assert (time.has_jumped(), time.has_drifted()) == (jumped, drifted)
    assert time.utc_of(0) == new_year  # until it follows
    assert time.follow() == sign * moved_ms
    assert time.utc_of(0) == new_year + sign * moved_ms


def test_coming_to_know_and_ceasing_to_know(wound_clock, new_year):
    known = {"utc": None}
    clock = wound_clock(end_s=1, calendar=lambda _: known["utc"])
    time = StreamTime(clock, "s")
    clock.now_s, known["utc"] = 20.0, new_year
    assert time.has_jumped()
    assert time.follow() == new_year - 20_000
    assert time.timeline.of_offset(20_000) == new_year
    assert time.timeline.to_offset(new_year) == 20_000
    known["utc"] = None
    assert time.has_jumped()
    assert time.follow() == -(new_year - 20_000)
    assert time.utc_of(0) is None
