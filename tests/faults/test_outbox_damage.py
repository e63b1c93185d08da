"""Damage to the outbox of a real gateway process: every committed number is accounted for.

The observer reads the trace. Committed numbers are acked ones, ones in the outbox, or declared as a
Loss; the ledger finds none unexplained. `make proof-outbox` tries all places; here are a few.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from itertools import pairwise

import pytest

from contract.blocks import entries
from contract.records import LossReason, Reading
from contract.wire import decode
from tests.faults.outbox_cases import (
    Site,
    account_of,
    assert_law,
    checkpointed,
    flip,
    flips,
    history,
    truncate,
)

SEED = 14
NO_BROKER = '[uplink]\nhost = "127.0.0.1"\nport = 1\ndrain_s = 0.1\nretry_max_s = 0.2'


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A gateway with two streams, killed; its newest blocks are in the -wal."""
    site = Site.make(tmp_path_factory.mktemp("killed"))
    history(site)
    return site


@pytest.fixture(scope="module")
def settled(killed, tmp_path_factory):
    """The same, with everything in the file itself."""
    site = killed.copy(tmp_path_factory.mktemp("settled"))
    checkpointed(site)
    return site


def test_without_damage_nothing_is_declared(killed, tmp_path):
    site = killed.copy(tmp_path / "site")
    site.run_inside()
    found = assert_law(site)
    assert found.declared == set()
    assert found.missing == set()
    assert [loss.reason for loss in found.losses].count(LossReason.UNCLEAN_STOP) == 2


@pytest.mark.parametrize("part", [0, 1 / 4096, 0.1, 0.5, 0.9])
def test_truncated(settled, tmp_path, part):
    site = settled.copy(tmp_path / "site")
    truncate(site.outbox, int(site.outbox.stat().st_size * part))
    site.run_inside()
    found = assert_law(site)
    assert found.missing
    assert {loss.reason for loss in found.losses} == {LossReason.CORRUPT, LossReason.UNCLEAN_STOP}


def test_a_truncated_wal(killed, tmp_path):
    site = killed.copy(tmp_path / "site")
    wal = site.outbox.with_name("outbox.db-wal")
    truncate(wal, int(wal.stat().st_size * 0.3))
    site.run_inside()
    assert assert_law(site).missing


@pytest.mark.parametrize("index", range(24))
def test_one_bit_flipped(settled, tmp_path, index):
    kind, offset, bit = flips(settled.outbox, 24, SEED)[index]
    print(kind, offset, bit)
    site = settled.copy(tmp_path / "site")
    flip(site.outbox, offset, bit)
    site.run_inside()
    assert_law(site)


@pytest.mark.parametrize(
    ("offset", "bit", "reason"),
    [
        (18, 1, "is damaged"),  # the write version: read-only for ever
        (60 + 3, 0, "schema version 3"),  # the schema version: looks like a newer dewline
    ],
)
def test_one_bit_of_the_header(settled, tmp_path, offset, bit, reason):
    site = settled.copy(tmp_path / "site")
    flip(site.outbox, offset, bit)
    site.run_inside()
    assert assert_law(site).missing == set()  # all blocks are readable
    assert reason in site.log


def test_a_bit_of_the_schema(settled, tmp_path):
    """The name of a column: each commit would fail as on a full disk, for ever."""
    site = settled.copy(tmp_path / "site")
    raw = site.outbox.read_bytes()
    flip(site.outbox, raw.index(b"payload BLOB"), 0)
    site.run_inside()
    assert assert_law(site).missing == set()
    assert "schema" in site.log


@pytest.mark.parametrize("column", ["first", "last", "stream_id", "alert"])
def test_a_number_of_a_row(settled, tmp_path, column):
    """SQLite has no checksums: without one of ours, a wrong number is a number."""
    site = settled.copy(tmp_path / "site")
    with closing(sqlite3.connect(site.outbox)) as db, db:
        changed = "'b' || substr(stream_id, 2)" if column == "stream_id" else f"{column} + 4096"
        row = "(SELECT row_id FROM block ORDER BY row_id LIMIT 1 OFFSET 9)"
        db.execute(f"UPDATE block SET {column} = {changed} WHERE row_id = {row}")
    checkpointed(site)
    site.run_inside()
    assert assert_law(site).missing == set()  # the payload says which numbers it has
    assert "is damaged" in site.log


def test_a_payload_and_its_numbers(settled, tmp_path):
    site = settled.copy(tmp_path / "site")
    with closing(sqlite3.connect(site.outbox)) as db, db:
        row = "(SELECT row_id FROM block ORDER BY row_id LIMIT 1 OFFSET 9)"
        db.execute(f"UPDATE block SET first = 7, payload = x'01ff' WHERE row_id = {row}")
    site.run_inside()
    assert assert_law(site).missing


def test_deleted(killed, tmp_path):
    site = killed.copy(tmp_path / "site")
    for suffix in ("", "-wal", "-shm"):
        site.outbox.with_name(f"outbox.db{suffix}").unlink(missing_ok=True)
    site.run_inside()
    assert assert_law(site).missing
    assert "was deleted or emptied" in site.log


@pytest.mark.parametrize("left", [(), ("-wal",)])
def test_replaced_by_the_outbox_of_another(killed, tmp_path, left):
    """With the old -wal left there, SQLite would mix the two."""
    site = killed.copy(tmp_path / "site")
    other = Site.make(tmp_path / "other")
    other.run_inside()
    for suffix in {"-wal", "-shm"} - set(left):
        site.outbox.with_name(f"outbox.db{suffix}").unlink(missing_ok=True)
    shutil.copy(other.outbox, site.outbox)
    site.committed |= other.committed  # its blocks are sent, too
    site.run_inside()
    assert assert_law(site).missing or left
    assert "outbox: " in site.log


def test_copied_back_from_a_backup(killed, tmp_path):
    """The backup is of an earlier run, or of earlier in the same stream."""
    site = killed.copy(tmp_path / "site")
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(site.outbox)) as db, closing(sqlite3.connect(backup)) as copy:
        db.backup(copy)
    site.run_inside()
    site.ack(10)
    shutil.copy(backup, site.outbox)
    site.run_inside()
    assert assert_law(site).missing
    assert "was replaced by another or an older outbox" in site.log


def test_a_second_loss_before_the_first_is_reported(killed, tmp_path):
    """Deleted twice: the second start still knows what the first run lost."""
    site = killed.copy(tmp_path / "site")
    for _ in range(2):
        for suffix in ("", "-wal", "-shm"):
            site.outbox.with_name(f"outbox.db{suffix}").unlink(missing_ok=True)
        site.start()
        site.wait_for(30)
        site.kill()
    site.run_inside()
    assert len({stream for stream, _ in assert_law(site).missing}) == 3


def test_damage_without_an_end_file(settled, tmp_path):
    """As in an upgrade: the outbox's own row of the end says what is missing of its stream."""
    site = settled.copy(tmp_path / "site")
    (site.folder / "outbox.end").unlink()
    with closing(sqlite3.connect(site.outbox)) as db:
        ((newest, last),) = db.execute("SELECT stream_id, last FROM stream_end").fetchall()
    raw = site.outbox.read_bytes()
    leaves = [at for at in range(4096, len(raw), 4096) if raw[at] == 13]
    with site.outbox.open("r+b") as file:
        file.seek(leaves[-1])  # its newest blocks
        file.write(bytes(4096))
    site.run_inside()
    found = account_of(site)
    assert found.missing
    assert {one for one in found.missing if one[0] == newest} <= found.declared
    assert max(number for stream, number in found.declared if stream == newest) <= last


# --- while it runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("", "-wal", "-shm"), ("-wal",)])
def test_deleted_while_it_runs(tmp_path, names):
    """The open file still has everything: it is copied to its place, and nothing is lost."""
    site = Site.make(tmp_path / "site")
    site.start()
    site.wait_for(200)
    for suffix in names:
        site.outbox.with_name(f"outbox.db{suffix}").unlink()
    streams = {stream for stream, _ in site.committed}
    site.wait(lambda: {stream for stream, _ in site.committed} > streams)
    site.wait_for(100)
    site.kill()
    site.run_again()
    found = assert_law(site)
    assert (found.missing, found.declared) == (set(), set())
    assert "nothing is lost" in site.log


def test_replaced_while_it_runs(killed, tmp_path):
    site = Site.make(tmp_path / "site", uplink=NO_BROKER)
    site.start()
    site.wait_for(200)
    shutil.copy(killed.outbox, tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(site.outbox)
    streams = {stream for stream, _ in site.committed}
    site.wait(lambda: {stream for stream, _ in site.committed} > streams)
    site.kill()
    site.run_again()
    found = assert_law(site)
    assert (found.missing, found.declared) == (set(), set())
    assert list(site.folder.glob("outbox.db.replaced.*"))


def test_damaged_while_it_runs(tmp_path):
    """SQLite's cache hides it; the start after a kill finds it."""
    site = Site.make(tmp_path / "site")
    site.start()
    site.wait_for(300)
    with site.outbox.open("r+b") as file:
        file.write(b"no longer a database" * (site.outbox.stat().st_size // 20))
    truncate(site.outbox.with_name("outbox.db-wal"), 0)
    site.wait_for(100)
    site.kill()
    site.run_again()
    assert assert_law(site).missing
    assert list(site.folder.glob("outbox.db.corrupt.*"))


def test_two_processes_on_one_outbox(tmp_path):
    site = Site.make(tmp_path / "site")
    site.start()
    site.wait_for(30)
    second = subprocess.run(
        [sys.executable, "-m", "edge.cli", "run", "--config", str(site.folder / "gateway.toml")],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert f"another dewline-gateway (process {site.process.pid}) runs on this outbox".encode() in (
        second.stderr
    )
    site.wait_for(30)  # the first one is not disturbed
    site.kill()
    site.run_again()  # a kill releases the lock
    assert assert_law(site).missing == set()


# --- no room and no access -----------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB; needs root."""
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False
    )
    if done.returncode:
        pytest.skip("mounting is not permitted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(disk):
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


def test_a_full_disk_and_then_a_kill(small_disk, tmp_path):
    site = Site.make(tmp_path / "site", small_disk / "outbox.db")
    site.start()
    site.wait_for(60)
    _fill(small_disk)
    site.wait(lambda: "cannot be written" in site.log)
    ended = threading.Event()
    ended.wait(6)  # one more attempt, with some hundred readings
    site.kill()
    (small_disk / "filler").unlink()
    site.run_again()
    found = assert_law(site)
    assert found.missing == set()
    kept = max(loss.estimated_total or 0 for loss in found.losses)
    assert 400 <= kept <= 6 * 100 + 1500


def test_another_program_locks_the_outbox(tmp_path):
    """Sampling does not wait for the lock, and all readings are committed after it."""
    site = Site.make(tmp_path / "site")
    site.start()
    site.wait_for(100)
    with closing(sqlite3.connect(site.outbox, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        site.wait(lambda: "cannot be written" in site.log)
        threading.Event().wait(7)
        db.execute("ROLLBACK")
    site.wait(lambda: "can be written again" in site.log)
    site.stop()
    assert "another program" in site.log
    found = assert_law(site)
    assert (found.missing, found.losses) == (set(), [])
    assert _longest_gap_ms(site) < 700


def _longest_gap_ms(site: Site) -> int:
    with closing(sqlite3.connect(site.outbox)) as db:
        payloads = [row[0] for row in db.execute("SELECT payload FROM block ORDER BY row_id")]
    times = sorted(
        entry.offset_ms
        for payload in payloads
        for entry in entries(decode(payload))
        if isinstance(entry.record, Reading)
    )
    return max(b - a for a, b in pairwise(times))


def test_a_folder_that_does_not_exist(tmp_path):
    site = Site.make(tmp_path / "site", tmp_path / "nowhere" / "outbox.db")
    site.start()
    assert site.process.wait(60) == 1
    site.reader.join()
    assert "does not exist. Create it" in site.log


@pytest.mark.parametrize(
    ("text", "crc32"),
    [
        ("replace(text, ':', ';')", "crc32"),
        ("replace(text, ':', ';')", "NULL"),  # a row of an earlier dewline
        ("replace(text, 'step', 'stfp')", "crc32"),
        ("'[]'", "NULL"),
    ],
)
def test_a_byte_of_the_stored_state(settled, tmp_path, text, crc32):
    site = settled.copy(tmp_path / "site")
    with closing(sqlite3.connect(site.outbox)) as db, db:
        done = db.execute(f"UPDATE memory SET text = {text}, crc32 = {crc32} WHERE name = 'alerts'")
        assert done.rowcount == 1
    site.run_inside()
    assert assert_law(site).missing == set()
    assert "the stored state `alerts` is damaged" in site.log


def test_a_new_gateway_on_a_full_disk(small_disk, tmp_path):
    """It measures and alerts; once there is room, it commits all of it."""
    _fill(small_disk)
    site = Site.make(tmp_path / "site", small_disk / "outbox.db")
    site.start()
    site.wait(lambda: "warm raised" in site.log)
    assert "cannot be opened, readings are kept in memory" in site.log
    (small_disk / "filler").unlink()
    site.wait(lambda: len(site.committed) > 200)
    site.stop()
    found = assert_law(site)
    assert (found.missing, found.losses) == (set(), [])
    first = min(number for _, number in site.committed)
    assert first == 1


def test_a_start_on_a_read_only_disk(small_disk, tmp_path):
    site = Site.make(tmp_path / "site", small_disk / "outbox.db")
    site.start()
    site.wait_for(100)
    site.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    site.start()
    site.wait(lambda: "cannot be opened, readings are kept in memory" in site.log)
    before = len(site.committed)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    site.wait(lambda: len(site.committed) > before + 200)
    site.stop()
    found = assert_law(site)
    assert found.missing == set()
    assert {loss.reason for loss in found.losses} == {LossReason.UNCLEAN_STOP}
