"""Which days follow from changed ones."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aggregates.days import DAY_MS, Due, parts_of

FIRST = date(2026, 1, 1)
ZONES = ("Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Beirut", "Australia/Lord_Howe")


def days_of(*numbers):
    return [Due("gw-1", FIRST + timedelta(days=n)) for n in numbers]


@given(
    numbers=st.sets(st.integers(0, 700), min_size=1, max_size=80),
    zone=st.sampled_from(ZONES),
)
def test_local_days_follow_each_other_and_cover_the_changed_days(numbers, zone):
    parts = parts_of(days_of(*numbers), {"gw-1": zone}, 0)
    assert [day for part in parts for day in part.due] == [d.day for d in days_of(*sorted(numbers))]
    for part in parts:
        frames = part.local_frames()
        for one, other in pairwise(frames):
            assert one.end_ms <= other.begin_ms
            if other.day - one.day == timedelta(days=1):
                assert one.end_ms == other.begin_ms
        assert all(20 <= f.length_ms / 3_600_000 <= 28 for f in frames)
        for utc in part.utc_frames():
            inside = [f for f in frames if f.begin_ms < utc.end_ms and f.end_ms > utc.begin_ms]
            assert inside[0].begin_ms <= utc.begin_ms
            assert inside[-1].end_ms >= utc.end_ms


@pytest.mark.parametrize("zone", ZONES)
def test_needed_days_hold_every_instant_of_every_frame(zone):
    for part in parts_of(days_of(80, 81, 300), {"gw-1": zone}, 3_600_000):
        needed = {(day - date(1970, 1, 1)).days for day in part.needed()}
        for frame in (*part.utc_frames(), *part.local_frames(), *part.condition_frames()):
            assert set(range(frame.begin_ms // DAY_MS, (frame.end_ms - 1) // DAY_MS + 1)) <= needed


def test_a_device_without_site_has_no_local_days_and_without_conditions_none_of_theirs():
    (part,) = parts_of(days_of(4), {}, 0)
    assert (part.local_frames(), part.condition_frames()) == ([], [])
    assert part.needed() == part.due


def test_conditions_reach_into_the_days_beside():
    (part,) = parts_of(days_of(4), {}, 2 * DAY_MS)
    assert [f.day.day for f in part.condition_frames()] == [3, 4, 5, 6, 7]
    assert (part.needed()[0].day, part.needed()[-1].day) == (1, 9)


def test_devices_are_apart_and_no_part_has_more_than_a_month():
    dues = [*days_of(*range(70)), Due("gw-0", FIRST)]
    parts = parts_of(reversed(dues), {}, 0)
    assert [(p.device_id, p.number, len(p.due)) for p in parts] == [
        ("gw-0", 0, 1),
        *[("gw-1", n, days) for n, days in enumerate((31, 31, 8))],
    ]
