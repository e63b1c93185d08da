"""The doctor's look at a lake on disk: written, landed, read by whom and how far."""

import pytest

from cloud.errors import LakeError
from cloud.health.finding import State
from cloud.health.lake import CursorLimits, look_at_cursors, look_at_lake
from cloud.lake.cursors import CursorStore
from cloud.lake.fold import fold
from cloud.lake.landing import LandingWriter
from cloud.lake.positions import Cursor, FileSequence, Position
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore
from contract.topics import Lane

START = "1356998400000-0000abcd"
SEQUENCE = FileSequence("node-1", START, Lane.LIVE)
LIMITS = CursorLimits(follow_s=900, batch_s=90_000, expected=frozenset({"ledger"}))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lake").mkdir()
    return tmp_path / "lake"


@pytest.fixture
def store(folder):
    return FolderStore(folder)


@pytest.fixture
def land(store, gateway):
    """`land(n)`: n files, each received a minute after the one before."""
    writer = LandingWriter(store, "node-1", START)

    def write(count):
        for _ in range(count):
            n = gateway.n + 1
            block = gateway.readings("a", 10 * n - 9, 10 * n)
            writer.commit(Lane.LIVE, gateway.file(block, after_ms=60_000).blocks)

    return write


def cursors(store, folder, now_ms, limits=LIMITS):
    found = look_at_cursors(store, RawTable(folder / "raw"), now_ms, limits)
    return {f.check: f for f in found}


def passed(store, name, n):
    CursorStore(store, name).save(Cursor().after([Position(SEQUENCE, n)]))


def test_a_lake_that_can_be_written_is_left_as_it_was(folder, store, land, gateway):
    land(2)
    before = sorted(folder.rglob("*"))
    lake, landed = look_at_lake(folder, store, gateway.at + 5000, 1800)
    assert sorted(folder.rglob("*")) == before
    assert (lake.state, landed.state, landed.found) == (State.OK, State.OK, "5 s ago")


def test_a_lake_that_is_not_there_yet_is_no_failure(tmp_path):
    folder = tmp_path / "lake"
    lake, landed = look_at_lake(folder, FolderStore(folder), 0, 1800)
    assert (lake.state, landed.state) == (State.OK, State.WARNING)
    assert landed.found == "the landing is empty"
    assert not folder.exists()


def test_a_quiet_lake_is_remarkable(folder, store, land, gateway):
    land(1)
    _, landed = look_at_lake(folder, store, gateway.at + 1_800_001, 1800)
    assert (landed.state, landed.found) == (State.WARNING, "30 min ago")
    assert "ingest run" in landed.remedy


def test_a_lake_that_cannot_be_written_says_why(tmp_path, store):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LakeError, match=r"file cannot be written: Not a directory"):
        list(look_at_lake(tmp_path / "file", store, 0, 1800))


def test_a_cursor_at_the_end_is_well_and_a_missing_one_is_told(folder, store, land, gateway):
    land(3)
    passed(store, "search", 3)
    found = cursors(store, folder, gateway.at)
    assert (found["cursor search"].state, found["cursor search"].found) == (
        State.OK,
        "0 files behind",
    )
    assert found["cursor ledger"].state is State.WARNING
    assert "ledger follow" in found["cursor ledger"].remedy


def test_the_age_is_that_of_the_oldest_file_not_passed(folder, store, land, gateway):
    land(10)  # the sixth came four minutes before the last
    passed(store, "ledger", 5)
    passed(store, "derive", 5)
    at = gateway.at
    found = cursors(store, folder, at + 300_000)["cursor ledger"]
    assert (found.state, found.found) == (
        State.OK,
        "5 files behind, the oldest was received 9 min ago",
    )
    later = cursors(store, folder, at + 700_000)
    assert later["cursor ledger"].state is State.FAILED
    assert "ledger follow" in later["cursor ledger"].remedy
    assert later["cursor derive"].state is State.OK, "a timer moves it"
    much_later = cursors(store, folder, at + 90_000_000)
    assert much_later["cursor derive"].state is State.FAILED
    assert "transform run" in much_later["cursor derive"].remedy


def test_files_that_the_fold_took_away_keep_their_age(folder, store, land, gateway):
    land(4)
    passed(store, "ledger", 2)
    passed(store, "search", 4)
    raw = RawTable(folder / "raw")
    fold(store, raw, [], gateway.at + 10**9, 0)
    assert not store.list("landing/")
    found = cursors(store, folder, gateway.at + 60_000)["cursor ledger"]
    assert found.found == "2 files behind, the oldest was received 2 min ago"


def test_a_file_that_is_gone_is_a_failure(folder, store, land, gateway):
    land(3)
    passed(store, "ledger", 1)
    (path,) = [p for p in store.list("landing/") if p.endswith("2.parquet")]
    store.delete(path)
    found = cursors(store, folder, gateway.at)["cursor ledger"]
    assert found.state is State.FAILED
    assert "`lake verify` names it" in found.found
