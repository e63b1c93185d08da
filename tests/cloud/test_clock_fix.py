from hypothesis import given
from hypothesis import strategies as st

from cloud.clock_fix import Fix, first_fix, fixed_observed_at
from cloud.plausible import FIRST_UTC_MS, plausible_instant

DAY_MS = 86_400_000
OFFSETS = st.integers(0, 2**53 - 1)
UTC_MS = st.integers(-62_135_596_800_000, 253_402_300_799_999)
NEW_YEAR = 15_706 * DAY_MS  # 2013-01-01T00:00:00Z is 1356998400 s


def test_a_record_before_the_fix_lies_before_its_instant():
    assert fixed_observed_at(40_000, 100_000, NEW_YEAR) == NEW_YEAR - 60_000


@given(OFFSETS, OFFSETS, UTC_MS, st.integers(0, 10**14))
def test_a_dated_record_always_has_a_plausible_time(offset_ms, fix_offset_ms, utc_at, received_at):
    fix = Fix(seq=1, offset_ms=fix_offset_ms, utc_at=utc_at)
    observed_at = fix.observed_at(offset_ms, received_at)
    told = fixed_observed_at(offset_ms, fix_offset_ms, utc_at)
    assert observed_at == (told if plausible_instant(told, received_at) else None)


def test_what_cannot_be_the_time_stays_undated():
    fix = Fix(seq=1, offset_ms=1000, utc_at=FIRST_UTC_MS)
    assert fix.observed_at(1000, NEW_YEAR) == FIRST_UTC_MS
    assert fix.observed_at(999, NEW_YEAR) is None
    ahead = Fix(seq=1, offset_ms=1000, utc_at=NEW_YEAR + DAY_MS)
    assert ahead.observed_at(1000, NEW_YEAR) == NEW_YEAR + DAY_MS
    assert ahead.observed_at(1001, NEW_YEAR) is None
    assert ahead.observed_at(2**53 - 1, NEW_YEAR) is None


@given(st.permutations([3, 9, 27]))
def test_the_lowest_number_wins_in_any_order(numbers):
    fixes = [Fix(seq=n, offset_ms=n, utc_at=DAY_MS * n) for n in numbers]
    assert first_fix(fixes) == Fix(seq=3, offset_ms=3, utc_at=DAY_MS * 3)
    assert first_fix([]) is None
