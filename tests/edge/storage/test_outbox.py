"""The outbox: what is committed stays, whatever happens to the process, the file, or beside it."""

import json
import random
import sqlite3
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from edge.errors import (
    OutboxAccess,
    OutboxBusy,
    OutboxCorrupt,
    OutboxFull,
    OutboxMoved,
    OutboxNewer,
)
from edge.storage.losses import Left
from edge.storage.outbox import Outbox
from edge.storage.outbox_schema import SCHEMA, SCHEMA_VERSION
from edge.storage.queued import Encoded, QueueState
from edge.storage.recovery import open_outbox, set_aside
from edge.storage.stream_end import StreamEnd

STREAM = "abcdefghij234"


def numbers(blocks):
    return [(b.first, b.last) for b in blocks]


def test_a_new_outbox_is_empty(outbox):
    assert outbox.empty()
    assert (outbox.stream_end(), outbox.recall("alerts"), outbox.newest_row_id()) == (None, None, 0)
    assert (outbox.state(), outbox.spans(5)) == (QueueState(0, 0), [])
    assert not outbox.ordinary_before(2**62)


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_only_the_durable_connection_waits_for_the_disk(outbox_path, durable, synchronous):
    """2 is FULL: with it every commit of a WAL database is an fsync."""
    outbox = Outbox(outbox_path, durable=durable)
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    outbox.close()


def test_lanes_read_what_they_ask_for(outbox, put):
    for first in (1, 3, 5, 7, 9):
        put(outbox, first, first + 1, alert=first in (3, 9))
    assert numbers(outbox.ordinary(0, 99, 9)) == [(1, 2), (5, 6), (7, 8)]
    assert numbers(outbox.ordinary(2, 4, 9)) == [(5, 6)]
    assert numbers(outbox.ordinary(0, 99, 2)) == [(1, 2), (5, 6)]
    assert numbers(outbox.alerts(0, 9)) == [(3, 4), (9, 10)]
    assert numbers(outbox.alerts(3, 9)) == [(9, 10)]
    assert outbox.ordinary_before(2)
    assert not outbox.ordinary_before(1)
    (alert,) = outbox.alerts(5, 1)
    assert (alert.stream_id, alert.alert, alert.payload) == (
        STREAM,
        True,
        b"%s 9 10" % STREAM.encode(),
    )


def test_spans_merge_consecutive_numbers_of_one_stream(outbox, put):
    rows = [put(outbox, first, first + 9) for first in (1, 11, 21, 31)]
    put(outbox, 1, 5, stream="bbbbbbbbbbbbb")
    put(outbox, 6, 9, stream="bbbbbbbbbbbbb")
    assert [(s.stream_id[0], s.first, s.last) for s in outbox.spans(9)] == [
        ("a", 1, 40),
        ("b", 1, 9),
    ]
    outbox.delete([rows[1]])
    assert [(s.stream_id[0], s.first, s.last) for s in outbox.spans(9)] == [
        ("a", 1, 10),
        ("a", 21, 40),
        ("b", 1, 9),
    ]
    assert [(s.first, s.last) for s in outbox.spans(2)] == [(1, 10), (21, 40)]


def test_row_ids_are_never_used_again(outbox, put):
    used = [put(outbox, 1, 1), put(outbox, 2, 2)]
    outbox.delete(used)
    assert outbox.empty()
    assert put(outbox, 3, 3) > max(used)


def test_state_counts_blocks_and_bytes(outbox, put):
    put(outbox, 1, 1, payload=b"12345")
    put(outbox, 2, 2, payload=b"123")
    assert outbox.state() == QueueState(blocks=2, payload_bytes=8)


def test_all_of_a_commit_or_nothing(outbox, put):
    put(outbox, 1, 1)
    end = StreamEnd(STREAM, 3, None, 0, clean=True)
    broken = Encoded(2, 3, False, None)  # no payload: the table refuses it
    with pytest.raises((sqlite3.IntegrityError, TypeError)):
        outbox.commit([Encoded(2, 2, False, b"x"), broken], end, [("alerts", "x")], [1])
    assert numbers(outbox.ordinary(0, 99, 9)) == [(1, 1)]
    assert outbox.stream_end().last == 1
    assert outbox.recall("alerts") is None
    assert put(outbox, 2, 2) == 2


def test_reopened_it_says_the_same(outbox_path, put):
    outbox = Outbox(outbox_path, durable=True)
    put(outbox, 1, 8)
    end = StreamEnd(STREAM, 16, 1234, 56, clean=True)
    outbox.commit([Encoded(9, 16, True, b"xyz")], end, [("alerts", "a"), ("window", "b")])
    outbox.commit(
        [Encoded(17, 17, False, b"z")], StreamEnd(STREAM, 17, None, 7, False), [("alerts", "c")]
    )
    outbox.close()
    again = Outbox(outbox_path, durable=True)
    assert again.stream_end() == StreamEnd(STREAM, 17, None, 7, clean=False)
    assert (again.recall("alerts"), again.recall("window")) == ("c", "b")
    assert [(s.first, s.last) for s in again.spans(9)] == [(1, 17)]
    assert again.newest_row_id() == 3
    again.close()


# --- two connections -----------------------------------------------------------------------------


def test_committing_and_deleting_at_once(outbox_path, outbox, put):
    """The sense loop commits 300 blocks while the send loop deletes each that it sees."""
    seen, done = [], threading.Event()

    def send():
        sending = Outbox(outbox_path, durable=False)
        while not (done.is_set() and sending.empty()):
            blocks = sending.ordinary(0, 2**62, 7)
            seen.extend(numbers(blocks))
            sending.delete(b.row_id for b in blocks)
        sending.close()

    sender = threading.Thread(target=send)
    sender.start()
    for first in range(1, 301):
        put(outbox, first, first)
    done.set()
    sender.join(30)
    assert not sender.is_alive()
    assert seen == [(n, n) for n in range(1, 301)]


def test_a_connection_belongs_to_the_thread_that_opened_it(outbox):
    errors = []

    def use():
        try:
            outbox.empty()
        except sqlite3.ProgrammingError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(errors) == 1


# --- sudden ends ---------------------------------------------------------------------------------

WRITER = """
import os, sys
from pathlib import Path
from edge.storage.queued import Encoded
from edge.storage.outbox import Outbox
from edge.storage.stream_end import StreamEnd
outbox = Outbox(Path(sys.argv[1]), durable=True)
number = outbox.stream_end().last if outbox.stream_end() else 0
while True:
    number += 1
    outbox.commit([Encoded(number, number, False, b"%d" % number)],
                  StreamEnd("abcdefghij234", number, None, 0, False), [("alerts", str(number))])
    os.write(1, b"%d\\n" % number)
"""


def test_whatever_commit_returned_before_a_kill_is_there(outbox_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, told = random.Random(seed), 0
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(outbox_path)], stdout=subprocess.PIPE
        )
        for _ in range(chance.randrange(1, 40)):
            told = int(writer.stdout.readline())
        threading.Event().wait(chance.uniform(0, 0.02))  # anywhere in a later commit
        writer.kill()
        rest = writer.stdout.read().split()
        told = int(rest[-1]) if rest else told
        writer.stdout.close()
        writer.wait()
        outbox = Outbox(outbox_path, durable=True)
        ((first, last),) = [(s.first, s.last) for s in outbox.spans(99)]
        end = outbox.stream_end()
        assert first == 1
        assert last in (told, told + 1)  # the last line may not have been told
        assert (end.last, outbox.recall("alerts")) == (last, str(last))
        assert [b.payload for b in outbox.ordinary(0, 2**62, 10**6)] == [
            b"%d" % n for n in range(1, last + 1)
        ]
        assert outbox.damaged() == []
        told = last
        outbox.close()


# --- damage --------------------------------------------------------------------------------------


def test_a_damaged_block_is_told_once_and_the_others_go_on(outbox_path, outbox, put, damage):
    rows = [put(outbox, first, first) for first in (1, 2, 3)]
    damage(outbox_path, rows[1])
    assert numbers(outbox.ordinary(0, 99, 9)) == [(1, 1), (3, 3)]
    assert numbers(outbox.damaged()) == [(2, 2)]
    assert numbers(outbox.ordinary(0, 99, 9)) == [(1, 1), (3, 3)]
    assert outbox.damaged() == []
    outbox.commit(
        [Encoded(4, 4, False, b"loss")], StreamEnd(STREAM, 4, None, 0, False), (), [rows[1]]
    )
    assert [(s.first, s.last) for s in outbox.spans(9)] == [(1, 1), (3, 4)]


def test_a_file_that_is_no_database(outbox_path):
    outbox_path.write_bytes(b"not SQLite at all, but long enough to be looked at" * 100)
    with pytest.raises(OutboxCorrupt, match=r"outbox\.db: file is not a database"):
        Outbox(outbox_path, durable=True)
    kept = set_aside(outbox_path)
    assert kept.read_bytes().startswith(b"not SQLite")
    assert not outbox_path.exists()


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(outbox_path, caplog):
    contents = [bytes([n]) * 5000 for n in range(1, 4)]
    for content in contents:
        outbox_path.write_bytes(content)
        open_outbox(outbox_path).close()
    kept = [p for p in outbox_path.parent.iterdir() if ".corrupt." in p.name]
    assert sorted(p.read_bytes() for p in kept) == contents  # nothing is overwritten
    assert Outbox(outbox_path, durable=True).empty()
    assert "is renamed to" in caplog.text


def test_damage_inside_the_file_is_told_when_it_is_met(outbox_path, put):
    outbox = Outbox(outbox_path, durable=True)
    for first in range(1, 200):
        put(outbox, first, first, payload=random.randbytes(400))
    outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.close()
    raw = bytearray(outbox_path.read_bytes())
    raw[8192:-4096] = bytes(len(raw) - 8192 - 4096)
    outbox_path.write_bytes(raw)
    outbox = Outbox(outbox_path, durable=True)
    with pytest.raises(OutboxCorrupt):
        outbox.ordinary(0, 2**62, 10**6)
    outbox.close()


def test_a_newer_schema_is_refused_and_left_alone(outbox_path):
    Outbox(outbox_path, durable=True).close()
    db = sqlite3.connect(outbox_path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(OutboxNewer, match="newer") as refused:
        open_outbox(outbox_path)
    assert str(outbox_path) in str(refused.value)
    names = {p.name for p in outbox_path.parent.iterdir()}
    assert names - {"outbox.db-wal", "outbox.db-shm", "outbox.end"} == {"outbox.db"}
    db = sqlite3.connect(outbox_path)
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION + 1,)
    db.close()


def test_no_access_and_no_room_are_told_apart_from_damage(tmp_path, outbox, put, disk):
    with pytest.raises(OutboxAccess, match="Check that the folder exists"):
        Outbox(tmp_path / "nowhere" / "outbox.db", durable=True)
    disk.refuse()
    with pytest.raises(OutboxFull):
        put(outbox, 1, 1)
    disk.take()
    assert put(outbox, 1, 1) == 1


def test_a_start_with_a_long_queue_reads_a_few_rows(outbox_path, outbox):
    """Only what the sense loop asks at its start; the statements' own counter of steps tells."""
    for batch in range(10):
        blocks = [
            Encoded(1 + n, 1 + n, False, b"x" * 50) for n in range(batch * 500, batch * 500 + 500)
        ]
        outbox.commit(blocks, StreamEnd(STREAM, blocks[-1].last, None, 0, False))
    again, steps = Outbox(outbox_path, durable=True), []
    again._db.set_progress_handler(lambda: steps.append(1), 100)
    again.stream_end(), again.recall("alerts"), again.newest_row_id(), again.empty()
    again.ordinary(4000, 2**62, 5), again.alerts(0, 5), again.ordinary_before(5000)
    assert len(steps) < 10
    again.state()
    assert len(steps) > 100  # the counter does count
    again.close()


def test_the_edge_can_say_all_this_without_pandas_or_sqlite_utils_once_migrated(outbox_path):
    Outbox(outbox_path, durable=True).close()
    script = (
        "import sys, json; from pathlib import Path; from edge.storage.outbox import Outbox; "
        f"Outbox(Path({str(outbox_path)!r}), durable=True).close(); "
        "print(json.dumps([m for m in ('sqlite_utils', 'pandas') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert json.loads(done.stdout) == []
    assert Path(outbox_path).exists()


# --- errors of SQLite ----------------------------------------------------------------------------


def test_a_lock_of_another_program_is_no_full_disk(outbox_path, outbox, put):
    other = sqlite3.connect(outbox_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxBusy, match="another program"):
        put(outbox, 1, 1)
    other.execute("ROLLBACK")
    other.close()
    assert put(outbox, 1, 1) == 1


def test_a_missing_column_is_damage_and_no_full_disk(outbox_path, outbox, put):
    other = sqlite3.connect(outbox_path)
    other.execute("ALTER TABLE block RENAME COLUMN payload TO qayload")
    other.close()
    with pytest.raises(OutboxCorrupt, match="payload"):
        put(outbox, 1, 1)


def test_a_full_file_is_told_as_such(outbox, put):
    (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutboxFull, match="full"):
        put(outbox, 1, 1, payload=bytes(50_000))


def test_a_deleted_file_takes_no_commit(outbox_path, outbox, put):
    put(outbox, 1, 1)
    outbox_path.unlink()
    with pytest.raises(OutboxMoved, match="deleted or replaced"):
        put(outbox, 2, 2)
    outbox.copy_to(outbox_path)  # the open file still has everything
    copy = Outbox(outbox_path, durable=False)
    assert numbers(copy.ordinary(0, 99, 9)) == [(1, 1)]
    copy.close()


def test_the_send_loop_creates_no_file(outbox_path):
    with pytest.raises(OutboxAccess):
        Outbox(outbox_path, durable=False, create=False)
    assert not outbox_path.exists()


# --- checksums -----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["first", "last", "alert"])
def test_a_damaged_number_is_found_when_it_is_read(outbox_path, outbox, put, column):
    put(outbox, 1, 8)
    db = sqlite3.connect(outbox_path)
    with db:
        db.execute(f"UPDATE block SET {column} = {column} + 2")
    db.close()
    with pytest.raises(OutboxCorrupt, match="its numbers are unknown"):
        outbox._blocks("1", 0, 99, 9)


def test_a_file_of_the_first_schema_is_migrated_with_its_rows(outbox_path):
    db = sqlite3.connect(outbox_path)
    for sql in SCHEMA[1]:
        if not sql.startswith("CREATE INDEX"):
            db.execute(sql)
    db.execute("CREATE INDEX block_alert ON block (row_id) WHERE alert = 1")
    db.execute(
        "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, "
        "name TEXT, applied_at TEXT)"
    )
    db.execute("INSERT INTO _sqlite_migrations VALUES (1, 'outbox', '0001_queue', '2026')")
    db.execute(
        "INSERT INTO block (stream_id, first, last, alert, payload, crc32) "
        "VALUES (?, 1, 8, 0, x'01', ?)",
        (STREAM, zlib.crc32(b"\x01")),
    )
    db.execute("INSERT INTO stream_end VALUES (1, ?, 8, NULL, 5, 0)", (STREAM,))
    db.execute("INSERT INTO memory VALUES ('alerts', '{}')")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    opened = open_outbox(outbox_path)
    assert opened.left == Left(*[StreamEnd(STREAM, 8, None, 5, clean=False)] * 2)
    assert numbers(opened.outbox.ordinary(0, 99, 9)) == [(1, 8)]
    assert opened.outbox.recall("alerts") == "{}"
    opened.close()


def test_a_new_file_has_the_schema_that_the_check_expects(outbox_path):
    Outbox(outbox_path, durable=True).close()
    db = sqlite3.connect(outbox_path)
    rows = db.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name IN ('block', 'stream_end', 'memory') "
        "AND sql IS NOT NULL"
    )
    assert {sql for (sql,) in rows} == SCHEMA[SCHEMA_VERSION]
    db.close()
