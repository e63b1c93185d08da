"""Scoring as a whole: real Spark, a real database, a real search server, a lake in a folder."""

import itertools
from dataclasses import replace

import pytest

from cloud.errors import ProjectionError, WarehouseError
from cloud.lake.positions import Cursor
from contract.blocks import TimedEvent
from contract.records import ClockFix
from contract.topics import Lane

pytestmark = [pytest.mark.spark, pytest.mark.services]

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR_MS = 3_600_000
HOURS = 96
FIRST, SECOND = NEW_YEAR + 30 * HOUR_MS, NEW_YEAR + 70 * HOUR_MS


def close(found, wanted):
    """The same hours, and probabilities that differ by rounding only."""
    assert [hour for hour, _ in found] == [hour for hour, _ in wanted]
    assert [p for _, p in found] == pytest.approx([p for _, p in wanted], abs=2e-6)
    return bool(found)


def champions(site):
    site.champion(1, FIRST)
    site.champion(2, SECOND)
    return [(1, FIRST), (2, SECOND)]


def test_what_landed_is_scored_as_a_replay_of_all_hours_would(new_site, station, expected):
    site = new_site()
    terms = champions(site)
    live = site.writer()
    for hour in range(0, HOURS, 4):
        site.land(live, Lane.LIVE, station.block(hour, 4))
    site.scoring(files_per_batch=7).process_available()
    assert close(site.hours(), expected(range(HOURS), terms))
    assert site.documents() == site.table()
    assert len({row[5] for row in site.table()}) == 2  # both versions, each in its time
    assert not any(site.late().values())
    assert [r.readings_total for r in site.results] == [56, 56, 56, 24]
    site.scoring().process_available()
    assert len(site.results) == 4  # nothing new, no batch
    for r in site.results:
        print({name: round(took_s, 2) for name, took_s in r.seconds.items()})


def test_one_devices_poison_changes_nothing_for_another(new_site, station, new_station, expected):
    site = new_site()
    terms = champions(site)
    live, bad = site.writer(), new_station()
    for hour in range(0, HOURS, 24):
        late = replace(bad.block(hour, 4), utc_at=253_402_300_799_999 - HOURS * HOUR_MS)
        early = replace(bad.block(hour, 4), utc_at=-62_135_596_800_000)
        fix = TimedEvent(HOUR_MS, ClockFix(utc_at=-62_135_596_800_000, uncertainty_ms=1))
        undated = replace(bad.block(hour, 4), stream_id="b" * 13, utc_at=None, events=(fix,))
        site.land(live, Lane.LIVE, late, early, undated, device_id="bad-01")
        site.land(live, Lane.LIVE, station.block(hour, 24))
    site.scoring().process_available()
    assert close(site.hours(), expected(range(HOURS), terms))
    assert {row[0] for row in site.table()} == {"ewr-01"}
    assert sum(r.readings_total for r in site.results) == 2 * HOURS + 32, "the undated ones wait"


def permuted(site, station, order):
    """The same blocks in three lanes and one doubled, their files landed and scored in an order."""
    champions(site)
    writers = {lane: site.writer() for lane in Lane}
    files = [
        (Lane.LIVE, [station.block(0, 40)]),
        (Lane.BACKFILL, [station.block(40, 20)]),
        (Lane.LIVE, [station.block(40, 20, stream="b", past=0.5)]),
        (Lane.LIVE, [station.block(60, 3), station.block(63, 3)]),
        (Lane.LIVE, [station.block(66, HOURS - 66)]),
    ]
    files.append((Lane.BACKFILL, files[3][1]))  # a repeat, by another lane
    scoring = site.scoring()
    scoring.start()
    for place in order:
        lane, blocks = files[place]
        site.land(writers[lane], lane, *blocks)
        scoring.process_available()
    scoring.stop()
    return site.table()


def test_the_order_of_files_changes_nothing(new_site, new_station, expected):
    orders = [(0, 1, 2, 3, 4, 5), (3, 2, 4, 0, 1, 5), (5, 4, 3, 2, 1, 0)]
    hours = [*range(HOURS), *(hour + 0.5 for hour in range(40, 60))]
    site = new_site()
    first = permuted(site, new_station(), orders[0])
    assert close(site.hours(), expected(hours, [(1, FIRST), (2, SECOND)]))
    late = site.late()
    assert {late[hour] for hour in late if hour < 40} == {False}
    assert {late[hour] for hour in late if hour >= 40} == {True}  # 36 h back they find backlog
    assert sum(r.removed_total for r in site.results) == 0
    removed_total = 0
    for order in orders[1:]:
        site = new_site()
        assert permuted(site, new_station(), order) == first
        assert site.documents() == first
        removed_total += sum(r.removed_total for r in site.results)
    # the half hours completed steps until the backlog had readings of the same steps before them
    assert removed_total > 0


def test_a_batch_that_comes_again_writes_the_same(new_site, station):
    site = new_site()
    champions(site)
    live = site.writer()
    for hour in range(0, HOURS, 12):
        site.land(live, Lane.LIVE, station.block(hour, 12))
    site.scoring().process_available()
    table, documents, cursor = site.table(), site.documents(), site.passed()
    assert table
    site.set_back(Cursor())
    site.scoring(files_per_batch=3).process_available()
    assert (site.table(), site.documents(), site.passed()) == (table, documents, cursor)


class BreakingSink:
    """A sink whose server breaks off once, at one of its steps."""

    def __init__(self, real, half):
        self.real, self.half = real, half

    def standing(self, spans):
        return self.real.standing(spans)

    def search(self, gone, made):
        self._break("search", made)
        self.written = made
        self.real.search(gone, made)

    def keep(self, made):
        self._break("keep", made)
        self.real.keep(made)

    def drop(self, gone):
        self._break("drop", self.written)
        self.real.drop(gone)

    def _break(self, half, made):
        if half == self.half and made:
            self.half = None
            raise WarehouseError("the server went away")


@pytest.mark.parametrize("half", ["keep", "search", "drop"])
def test_a_batch_that_a_store_refuses_moves_no_cursor_and_is_done_again(
    new_site, station, expected, half
):
    site = new_site()
    terms = champions(site)
    live = site.writer()
    for hour in range(0, HOURS, 24):
        site.land(live, Lane.LIVE, station.block(hour, 24))
    scoring = site.scoring(BreakingSink(site.sink(), half), files_per_batch=2)
    with pytest.raises(WarehouseError, match="went away"):
        scoring.process_available()
    assert set(site.documents()) <= set(site.table())  # the table never knows less
    assert not scoring.caught_up(site.end())
    scoring.process_available()
    assert scoring.caught_up(site.end())
    assert close(site.hours(), expected(range(HOURS), terms))
    assert site.documents() == site.table()


def test_a_query_that_ended_by_itself_is_named(new_site):
    site = new_site()
    scoring = site.scoring()
    scoring.start()
    scoring.check()
    for query in site.spark.streams.active:
        query.stop()
    with pytest.raises(ProjectionError, match="ended unexpectedly, without an error"):
        scoring.check()
    scoring.stop()


def test_a_stream_goes_on_where_the_cursor_stands_whoever_reads_it(
    new_site, station, expected, wait_until
):
    site = new_site()
    terms = champions(site)
    live = site.writer()
    for first, end in itertools.pairwise((0, 48, 60, HOURS)):
        scoring = site.scoring(files_per_batch=5)  # a new process: no checkpoint, no memory
        scoring.start()
        for hour in range(first, end, 6):
            site.land(live, Lane.LIVE, station.block(hour, 6))
        wait_until(lambda s=scoring: s.check() or s.caught_up(site.end()), 60)
        scoring.stop()
        site.fold()
        if end == 60:
            site.transform()
    assert close(site.hours(), expected(range(HOURS), terms))
    assert sum(r.readings_total for r in site.results) == 2 * HOURS  # nothing was read again


def test_live_comes_before_a_backlog_and_is_mended_by_it(new_site, station, expected):
    site = new_site()
    terms = champions(site)
    live, old = site.writer(), site.writer()
    gap = {30, 31}
    site.land(live, Lane.LIVE, station.block(0, 30))
    backlog = station.block(30, 2)
    site.land(live, Lane.LIVE, station.block(32, 40))
    site.land(old, Lane.BACKFILL, backlog)
    site.scoring(files_per_batch=2).process_available()
    first, second = site.results
    assert (first.readings_total, second.readings_total) == (140, 4)
    assert close(site.hours(), expected(range(72), terms))
    late = site.late()
    assert not any(late[hour] for hour in late if hour < 30)
    assert all(late[hour] for hour in late if 30 <= hour < 66)
    assert gap & late.keys()
    assert not any(late[hour] for hour in late if hour > 67)  # the backlog is out of its window


def test_undated_readings_wait_for_their_clock_fix(new_site, station, expected):
    site = new_site()
    terms = champions(site)
    live = site.writer()
    site.land(live, Lane.LIVE, station.block(0, 40))
    site.land(live, Lane.LIVE, station.block(40, 5, stream="b", synced=False))
    site.land(live, Lane.LIVE, station.block(45, 3, stream="c"))
    scoring = site.scoring()
    scoring.process_available()
    assert scoring.totals.undated_total == 10
    dated = [*range(40), *range(45, 48)]
    assert close(site.hours(), expected(dated, terms))
    site.fold()
    site.transform()  # they wait in table `readings` now
    site.land(live, Lane.LIVE, station.fix(48, stream="b"))
    site.scoring().process_available()
    assert close(site.hours(), expected(range(48), terms))
    table = site.table()
    site.fold()
    site.transform()
    site.set_back(Cursor())
    site.scoring(files_per_batch=1).process_available()
    assert site.table() == table


def test_without_a_champion_only_the_cursor_moves(new_site, station):
    site = new_site()
    site.champion(1, NEW_YEAR + 1000 * 24 * HOUR_MS)
    site.land(site.writer(), Lane.LIVE, station.block(0, 48))
    scoring = site.scoring()
    scoring.process_available()
    assert scoring.caught_up(site.end())
    assert (site.table(), site.documents()) == ([], [])
    assert scoring.totals.readings_total == 96
