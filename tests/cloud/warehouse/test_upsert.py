"""From staging to facts on a real server: each rule of the upsert."""

import random
from datetime import date

import pytest
from sqlalchemy import func, select

from cloud.columns import COLUMNS, ColumnType
from cloud.errors import WarehouseError
from cloud.warehouse.tables import FACTS, STAGING
from cloud.warehouse.upsert import clear_staging, load_batch
from contract.keys import UNSYNCED_DAY
from contract.records import Kind

pytestmark = pytest.mark.services

DAY = date(2013, 7, 15)
SAMPLES = {
    ColumnType.WORD: "attic",
    ColumnType.INTEGER: 2**53 - 1,
    ColumnType.REAL: 0.1,
    ColumnType.BOOLEAN: True,
    ColumnType.INSTANT: 1_373_846_400_123,
    ColumnType.DAY: DAY,
    ColumnType.WORDS: '["retried","jump"]',
    ColumnType.DOCUMENT: '[{"b":1, "a":"\N{DEGREE SIGN}"}]',
}


def sample(kind, **changed):
    values = {c.name: SAMPLES[c.type] for c in COLUMNS[kind]}
    return values | {"stream_id": "a" * 13, "seq": 1} | changed


def stage(engine, kind, batch_id, *rows):
    with engine.begin() as connection:
        connection.execute(STAGING[kind].insert(), [{"batch_id": batch_id} | r for r in rows])


def load(engine, kind, *rows, batch_id="b"):
    stage(engine, kind, batch_id, *rows)
    return load_batch(engine, kind, batch_id)


def stored(engine, kind):
    with engine.connect() as connection:
        query = select(FACTS[kind]).order_by("device_id", "stream_id", "seq", "event_day")
        return [dict(r._mapping) for r in connection.execute(query)]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_goes_in_as_it_is_and_comes_out_the_same(warehouse, kind):
    row = sample(kind)
    assert load(warehouse, kind, row) == 1
    assert stored(warehouse, kind) == [row]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_not_required_may_be_missing_and_the_rest_may_not(warehouse, kind):
    bare = sample(kind) | {c.name: None for c in COLUMNS[kind] if not c.required}
    load(warehouse, kind, bare)
    assert stored(warehouse, kind) == [bare]


def test_loading_twice_and_repeated_rows_change_nothing(warehouse):
    rows = [sample(Kind.READING, seq=n) for n in range(1, 51)]
    assert load(warehouse, Kind.READING, *rows, *rows[:20]) == 70
    assert load(warehouse, Kind.READING, *rows, batch_id="again") == 50
    assert stored(warehouse, Kind.READING) == rows
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(STAGING[Kind.READING])) == 0


def test_a_batch_loads_its_own_rows_only_and_leaves_the_staging_table_empty(warehouse):
    stage(warehouse, Kind.READING, "other", sample(Kind.READING, seq=9))
    assert load(warehouse, Kind.READING, sample(Kind.READING, seq=1), batch_id="mine") == 1
    assert [r["seq"] for r in stored(warehouse, Kind.READING)] == [1]
    assert load_batch(warehouse, Kind.READING, "other") == 0
    assert [r["seq"] for r in stored(warehouse, Kind.READING)] == [1]


def test_one_stored_key_of_many_streams_is_found(warehouse):
    """The streams are looked up in groups; the one with a stored number is in the last group."""
    old = sample(Kind.READING, device_id="gw-999", event_day=UNSYNCED_DAY, observed_at=None)
    load(warehouse, Kind.READING, old)
    rows = [sample(Kind.READING, device_id=f"gw-{n:03d}") for n in range(450)]
    new = sample(Kind.READING, device_id="gw-999")
    assert load(warehouse, Kind.READING, *rows, new) == 451
    assert stored(warehouse, Kind.READING) == [*rows, new]


def test_a_reader_of_the_staging_table_does_not_hold_a_load_for_ever(warehouse):
    with warehouse.connect() as reader:
        reader.execute(select(STAGING[Kind.READING])).all()  # its transaction stays open
        with pytest.raises(WarehouseError, match=r"[Ll]ock wait timeout"):
            clear_staging(warehouse, Kind.READING, lock_s=1)
    clear_staging(warehouse, Kind.READING)


def test_the_same_row_from_a_better_transform_replaces(warehouse):
    load(warehouse, Kind.READING, sample(Kind.READING, quality="good", value=1.0))
    better = sample(Kind.READING, quality="bad", value=None)
    load(warehouse, Kind.READING, better)
    assert stored(warehouse, Kind.READING) == [better]


def test_of_one_key_the_first_received_wins_in_any_order(warehouse):
    at = SAMPLES[ColumnType.INSTANT]
    rows = [sample(Kind.READING, received_at=at + i, value=float(i)) for i in range(3)]
    for row in random.Random(7).sample(rows * 3, 9):
        load(warehouse, Kind.READING, row)
    assert stored(warehouse, Kind.READING) == [rows[0]]


def test_a_row_without_a_day_moves_once_its_day_is_known_and_never_back(warehouse):
    waiting = sample(Kind.READING, event_day=UNSYNCED_DAY, observed_at=None)
    load(warehouse, Kind.READING, waiting, sample(Kind.READING, seq=2))
    known = sample(Kind.READING)
    load(warehouse, Kind.READING, known)
    assert stored(warehouse, Kind.READING) == [known, sample(Kind.READING, seq=2)]
    load(warehouse, Kind.READING, waiting)
    assert stored(warehouse, Kind.READING) == [known, sample(Kind.READING, seq=2)]
    other_day = sample(Kind.READING, event_day=date(2013, 7, 16))
    load(warehouse, Kind.READING, other_day)
    assert stored(warehouse, Kind.READING)[0] == other_day


def test_a_rival_received_later_does_not_move_the_winner(warehouse):
    at = SAMPLES[ColumnType.INSTANT]
    winner = sample(Kind.READING)
    rival = sample(Kind.READING, event_day=date(2014, 1, 1), received_at=at + 1)
    load(warehouse, Kind.READING, winner)
    load(warehouse, Kind.READING, rival)
    assert stored(warehouse, Kind.READING) == [winner]


def test_a_load_that_breaks_off_leaves_everything_as_it_was(warehouse):
    waiting = sample(Kind.READING, event_day=UNSYNCED_DAY, observed_at=None)
    load(warehouse, Kind.READING, waiting)
    stage(warehouse, Kind.READING, "b", sample(Kind.READING))
    with warehouse.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON fct_reading FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'full'"
        )
    try:
        with pytest.raises(WarehouseError, match="full"):
            load_batch(warehouse, Kind.READING, "b")
    finally:
        with warehouse.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER refuse")
    assert stored(warehouse, Kind.READING) == [waiting]
    assert load_batch(warehouse, Kind.READING, "b") == 1
