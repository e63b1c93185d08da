"""The projection as a whole, on real Delta tables and a real database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cloud.errors import WarehouseError
from cloud.lake.positions import Cursor, Position
from cloud.transforms.batch import batch_after, write_events, write_readings
from cloud.transforms.load import load
from contract.keys import UNSYNCED_DAY, event_day
from contract.records import ClockFix, Kind, Loss, LossReason, Phase, Status

pytestmark = [pytest.mark.spark, pytest.mark.services]

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z, where the gateway fixture begins
AUGUST = 1_375_315_200_000  # 2013-08-01T00:00:00Z


def instant(ms):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def fix(gateway, stream, seq, utc_at=AUGUST):
    return gateway.events(stream, seq, ClockFix(utc_at=utc_at, uncertainty_ms=20))


def waiting(gateway, stream, seq):
    """Two records of a stream whose clock is not believable yet."""
    loss = Loss(reason=LossReason.UNCLEAN_STOP, from_at=NEW_YEAR - 1, to_at=NEW_YEAR)
    return gateway.events(stream, seq, Status(phase=Phase.START, version="1"), loss)


def numbered(file, node, n):
    """The same file at another place of the lake."""
    sequence = replace(file.position.sequence, node=node)
    return replace(file, position=Position(sequence, n))


def run_after_each(lake, *files):
    for file in files:
        lake.fold(file)
        lake.transform().run()
    return lake.everything()


def test_a_run_writes_all_targets_and_a_second_one_finds_nothing(new_lake, gateway, named):
    lake = new_lake()
    gateway.at = AUGUST + 123  # milliseconds have to survive
    lake.fold(gateway.file(gateway.readings("a", 1, 9), fix(gateway, "b", 1, AUGUST + 7)))
    lake.fold(gateway.file(gateway.readings("a", 5, 12), payloads=[b"\x01no block"]))
    result = lake.transform().run()
    assert result.rows == {Kind.READING: 12, Kind.CLOCK_FIX: 1}
    readings, events, warehouse = lake.everything()
    assert [(r["seq"], r["value"], r["event_period"], r["clean_flags"]) for r in readings] == [
        (seq, 21.0, "2013-01", []) for seq in range(1, 13)
    ]
    assert [(e["kind"], e["seq"], e["event_period"]) for e in events] == [
        ("clock_fix", 1, "2013-08")
    ]
    assert {kind: len(rows) for kind, rows in warehouse.items() if rows} == result.rows
    row = named(Kind.CLOCK_FIX, warehouse[Kind.CLOCK_FIX][0])
    assert row["utc_at"] == row["observed_at"] == AUGUST + 7
    assert row["received_at"] == AUGUST + 123 + 1000
    assert row["event_day"] == event_day(AUGUST)
    assert lake.staged_total() == 0
    assert lake.cursor.load() == lake.folded.load()
    assert lake.transform().run() is None
    lake.cursor.save(Cursor())  # the whole lake again
    assert lake.transform().run().rows == result.rows
    assert lake.everything() == (readings, events, warehouse)


def dates(events):
    return [(e["stream_id"][0], e["event_period"], e["observed_at"]) for e in events]


def test_the_order_in_which_files_come_changes_nothing(new_lake, gateway):
    gateway.at = AUGUST
    waits = waiting(gateway, "a", 1), waiting(gateway, "b", 1)
    early = gateway.file(*waits, gateway.readings("c", 1, 3, value=1100))
    late = gateway.file(fix(gateway, "a", 3), gateway.readings("c", 2, 4, value=2200))
    late = numbered(late, "node-0", 1)  # a lower place, but later
    lake = new_lake()
    kept = run_after_each(lake, early, late)
    assert run_after_each(new_lake(), late, early) == kept
    lake = new_lake()
    lake.fold(early, late)
    lake.transform().run()
    assert lake.everything() == kept

    readings, events, warehouse = kept
    # the earliest of a key wins
    assert [r["value"] for r in readings] == [11.0, 11.0, 11.0, 22.0]
    assert [row[9] for row in warehouse[Kind.READING]] == [11.0, 11.0, 11.0, 22.0]
    # stream a: offsets 1000, 1000 and 3000, the last of which was at AUGUST; b has no fix
    told = [instant(at) for at in (AUGUST - 2000, AUGUST - 2000, AUGUST)]
    periods = ["2013-07", "2013-07", "2013-08"]
    assert dates(events) == [
        *zip("aaa", periods, told, strict=True),
        *[("b", "unsynced", None)] * 2,
    ]
    stored = [warehouse[kind] for kind in (Kind.STATUS, Kind.LOSS)]
    assert [(row[3], row[4]) for rows in stored for row in rows] == [
        (event_day(AUGUST - 2000), AUGUST - 2000),
        (UNSYNCED_DAY, None),
    ] * 2


STEPS = (
    lambda lake, batch: load(batch, lake.loader),
    lambda lake, batch: write_readings(batch, lake.tables),
    lambda lake, batch: write_events(batch, lake.tables),
)


def test_what_runs_left_that_died_between_two_steps_is_completed_by_the_next(new_lake, gateway):
    gateway.at = AUGUST
    first = gateway.file(gateway.readings("a", 1, 9), waiting(gateway, "b", 1))
    second = gateway.file(gateway.readings("a", 8, 12), fix(gateway, "b", 3))
    expected = run_after_each(new_lake(), first, second)
    lake = new_lake()
    lake.fold(first)
    lake.transform().run()
    lake.fold(second)
    for done in range(1, len(STEPS)):  # one after the other, each a step further
        batch = batch_after(lake.spark, lake.tables, lake.cursor.load(), lake.folded.load())
        for step in STEPS[:done]:
            step(lake, batch)
        assert lake.cursor.load() != lake.folded.load()
    lake.transform().run()
    assert lake.everything() == expected


class AwayLoader:
    def load(self, kind, rows, batch_id):
        raise WarehouseError(f"nobody answers for {len(rows.columns)} columns of {kind} {batch_id}")


def test_without_mysql_the_cursor_stays_and_everything_comes_later(new_lake, gateway):
    lake = new_lake()
    lake.fold(gateway.file(gateway.readings("a", 1, 3)))
    real, lake.loader = lake.loader, AwayLoader()
    with pytest.raises(WarehouseError, match="nobody answers"):
        lake.transform().run()
    assert lake.cursor.load() == Cursor()
    lake.loader = real
    assert lake.transform().run().rows == {Kind.READING: 3}


YEAR_1, YEAR_9999 = -62_135_596_800_000, 253_402_300_799_999


def poisonous(gateway):
    """Blocks that obey the contract; the first once ended the run for every device."""
    readings = gateway.readings("p", 1, 3)
    stop = Loss(reason=LossReason.UNCLEAN_STOP, from_at=YEAR_1, to_at=YEAR_9999)
    return (
        fix(gateway, "q", 1, YEAR_1),
        fix(gateway, "r", 1, YEAR_9999),
        waiting(gateway, "q", 2),  # would be dated by the fix of the year 1
        replace(readings, utc_at=YEAR_9999 - 5000),
        replace(readings, stream_id="s" * 13, utc_at=YEAR_1),
        gateway.events("t", 1, stop),
        replace(readings, stream_id="u" * 13, first=2**53 - 20),
    )


def test_one_devices_poison_holds_up_no_other(new_lake, gateway, new_gateway):
    bad, lake = new_gateway("bad-01"), new_lake()
    lake.fold(bad.file(*poisonous(bad), bad.readings("v", 1, 2), node="node-2"))
    lake.fold(gateway.file(gateway.readings("a", 1, 9)))
    result = lake.transform().run()
    assert result.rows == {Kind.READING: 11, Kind.STATUS: 1, Kind.LOSS: 1}
    readings, events, warehouse = lake.everything()
    found = {(r["device_id"], r["stream_id"][0]) for r in readings}
    assert found == {("bad-01", "v"), ("ewr-01", "a")}
    assert dates(events) == [("q", "unsynced", None)] * 2, "as without a fix"
    assert len(warehouse[Kind.READING]) == 11


def test_a_good_fix_after_a_bad_one_dates_the_stream(new_lake, gateway):
    gateway.at = AUGUST
    lake = new_lake()
    kept = run_after_each(
        lake,
        gateway.file(gateway.readings("z", 1, 1)),  # so that table `readings` exists
        gateway.file(waiting(gateway, "a", 1), fix(gateway, "a", 3, YEAR_1)),
        gateway.file(fix(gateway, "a", 4, AUGUST)),
    )
    assert dates(kept[1]) == [
        *[("a", "2013-07", instant(AUGUST - 3000))] * 2,
        ("a", "2013-08", instant(AUGUST)),
    ]
