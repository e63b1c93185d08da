from hypothesis import given
from hypothesis import strategies as st

from cloud.clock_fix import Fix, first_fix, fixed_observed_at
from contract.keys import UNSYNCED_DAY, event_day

DAY_MS = 86_400_000
OFFSETS = st.integers(0, 2**53 - 1)
UTC_MS = st.integers(-62_135_596_800_000, 253_402_300_799_999)


def test_a_record_before_the_fix_lies_before_its_instant():
    # 2013-01-01T00:00:00Z is 1356998400 s (RFC 3339 example arithmetic: 15706 days).
    assert fixed_observed_at(40_000, 100_000, 15_706 * DAY_MS) == 15_706 * DAY_MS - 60_000


@given(OFFSETS, OFFSETS, UTC_MS)
def test_a_dated_record_always_has_a_day_of_its_own(offset_ms, fix_offset_ms, utc_at):
    observed_at = Fix(seq=1, offset_ms=fix_offset_ms, utc_at=utc_at).observed_at(offset_ms)
    if observed_at is not None:
        assert observed_at == fixed_observed_at(offset_ms, fix_offset_ms, utc_at)
        assert event_day(observed_at) != UNSYNCED_DAY


def test_what_cannot_be_a_date_stays_undated():
    fix = Fix(seq=1, offset_ms=0, utc_at=253_402_300_799_999)
    assert fix.observed_at(0) == 253_402_300_799_999
    assert fix.observed_at(1) is None
    assert Fix(seq=1, offset_ms=0, utc_at=DAY_MS - 1).observed_at(0) is None
    assert Fix(seq=1, offset_ms=0, utc_at=DAY_MS - 1).observed_at(1) == DAY_MS


@given(st.permutations([3, 9, 27]))
def test_the_lowest_number_wins_in_any_order(numbers):
    fixes = [Fix(seq=n, offset_ms=n, utc_at=DAY_MS * n) for n in numbers]
    assert first_fix(fixes) == Fix(seq=3, offset_ms=3, utc_at=DAY_MS * 3)
    assert first_fix([]) is None
