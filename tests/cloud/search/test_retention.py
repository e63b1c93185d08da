"""Which records and indices are too old, and that they are deleted once a day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.clock_fix import Fix
from cloud.config import Period
from cloud.errors import ProjectionError
from cloud.search.documents import BlockContext, documents
from cloud.search.names import IndexNames
from cloud.search.retention import DailyRetirement, Kept, Retention, expired, retired
from contract.blocks import Block
from contract.records import Kind
from tests.builders import EVERY_EVENT, JULY, STREAM, air, timed

NAMES = IndexNames("dewline", Period.MONTH)
KEPT = Kept(readings_from=date(2013, 7, 4), others_from=date(2013, 1, 1))
ORIGIN = BlockContext(device_id="gw-1", received_at=JULY + 1)


class Clock:
    def __init__(self, day):
        self.day = day

    def utc_ms(self):
        return int(datetime(*self.day.timetuple()[:3], 23, tzinfo=UTC).timestamp()) * 1000

    def monotonic_ms(self):
        return 0


@pytest.mark.parametrize(
    ("period", "keep_days", "readings_from", "others_from"),
    [
        (Period.DAY, 1, date(2026, 3, 14), date(2026, 1, 1)),
        (Period.MONTH, 1, date(2026, 3, 1), date(2026, 1, 1)),
        (Period.MONTH, 15, date(2026, 2, 1), date(2026, 1, 1)),
        (Period.MONTH, 74, date(2025, 12, 1), date(2025, 1, 1)),
    ],
)
def test_whole_periods_are_kept(period, keep_days, readings_from, others_from):
    retention = Retention(keep_days=keep_days, period=period, clock=Clock(date(2026, 3, 15)))
    assert retention.kept() == Kept(readings_from=readings_from, others_from=others_from)


def block(utc_at=JULY):
    """Six readings 1 to 3 s after `utc_at`, then every event. JULY is a day's last second."""
    return Block(
        stream_id=STREAM,
        first=1,
        offset_ms=0,
        utc_at=utc_at,
        sensors=(air(3),),
        events=timed(EVERY_EVENT),
    )


def test_a_blocks_old_records_are_found_series_by_series():
    kept = replace(KEPT, readings_from=date(2013, 7, 5))
    assert retired(ORIGIN, block(JULY - 2000), kept) == {1, 2, 3, 4, 5, 6}
    assert retired(ORIGIN, block(JULY - 2000), KEPT) == {1, 2, 4, 5}  # JULY + 1 s is new
    assert retired(ORIGIN, block(), KEPT) == frozenset()  # the first is at JULY + 1 s, a new day


def test_other_kinds_are_kept_for_their_year_and_clock_fixes_for_ever():
    kept = Kept(readings_from=date(2014, 5, 1), others_from=date(2014, 1, 1))
    found = retired(ORIGIN, block(), kept)
    fix = 7 + next(n for n, e in enumerate(EVERY_EVENT) if type(e).__name__ == "ClockFix")
    assert found == set(range(1, 7 + len(EVERY_EVENT))) - {fix}
    late = replace(kept, others_from=date(2013, 1, 1))
    assert retired(ORIGIN, block(), late) == {1, 2, 3, 4, 5, 6}


def test_records_without_a_time_stay_until_a_fix_dates_them():
    undated = block(utc_at=None)
    assert retired(ORIGIN, undated, KEPT) == frozenset()
    fix = Fix(seq=9, offset_ms=2000, utc_at=JULY)  # the readings are at JULY - 1 s, JULY, JULY + 1
    assert retired(replace(ORIGIN, fix=fix), undated, KEPT) == {1, 2, 4, 5}


days = st.dates(date(2012, 1, 2), date(2030, 12, 31))


@given(days, days, st.sampled_from(Period), st.sampled_from(Kind))
def test_an_index_is_deleted_only_if_every_record_of_it_is_retired(day, today, period, kind):
    names = IndexNames("dewline", period)
    kept = Retention(keep_days=30, period=period, clock=Clock(today)).kept()
    at = int(datetime(*day.timetuple()[:3], 12, tzinfo=UTC).timestamp()) * 1000
    deleted = bool(expired(frozenset({names.index(kind, day)}), names, kept))
    assert deleted == (not kept.keeps(kind, at))
    if today - day <= timedelta(days=30):
        assert not deleted


def test_only_our_own_dated_indices_are_deleted():
    old = {
        "dewline-reading-2013.06",
        "dewline-reading-2013.07.03",
        "dewline-alert-2012.01",
        "dewline-alert-2012.12.31",
        "dewline-cloud-prediction-2013.06",
    }
    kept = {
        "dewline-reading-2013.07",
        "dewline-reading-2013.07.04",
        "dewline-reading-unsynced",
        "dewline-alert-2013.01",
        "dewline-clock-fix-2012.01",
        "dewline-dead-letter-all",
        "dewline-reading-2013.06-copy",
        "other-reading-2013.06",
    }
    assert set(expired(frozenset(old | kept), NAMES, KEPT)) == old


class Store:
    def __init__(self, *names):
        self.names = set(names)
        self.fails = False

    def index_names(self, pattern):
        assert pattern == "dewline-*"
        if self.fails:
            raise ProjectionError("away")
        return frozenset(self.names)

    def delete_index(self, name):
        self.names.remove(name)


def test_old_indices_are_deleted_once_a_day_and_again_after_a_failure():
    clock, store = Clock(date(2026, 3, 15)), Store("dewline-reading-2026.01")
    retention = Retention(keep_days=30, period=Period.MONTH, clock=clock)
    daily = DailyRetirement(store, NAMES, retention)
    store.fails = True
    with pytest.raises(ProjectionError):
        daily()
    store.fails = False
    daily()
    assert store.names == set()
    store.names.add("dewline-reading-2026.01")
    daily()
    assert store.names == {"dewline-reading-2026.01"}  # the same day
    clock.day += timedelta(days=1)
    daily()
    assert store.names == set()


def test_every_document_of_a_retired_index_is_a_retired_record():
    made = {int(d.id.rpartition(":")[2]): d.index_name for d in documents(ORIGIN, block(), NAMES)}
    kept = Kept(readings_from=date(2014, 1, 1), others_from=date(2014, 1, 1))
    gone = expired(frozenset(made.values()), NAMES, kept)
    assert {seq for seq, index in made.items() if index in gone} == retired(ORIGIN, block(), kept)
