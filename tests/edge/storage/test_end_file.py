"""The end file: what it knows after a commit, a kill, a power cut, and damage to itself."""

import json
import logging

import pytest

from edge.errors import OutboxInUse
from edge.storage import end_file as module
from edge.storage.end_file import EndFile, end_path
from edge.storage.stream_end import Kept, StreamEnd

FIRST, SECOND = "aaaaaaaaaaaaa", "bbbbbbbbbbbbb"


def end(stream, last, *, clean=False):
    return StreamEnd(stream, last, 1000 + last, 50, clean)


def commit(file, stream, last, *, clean=False, oldest=FIRST):
    file.reserve(end(stream, last, clean=clean), lambda: oldest)
    file.note(end(stream, last, clean=clean))


@pytest.fixture
def opened(outbox_path):
    files = []

    def open_file(**settings):
        for file in files:
            file.close()
        files.append(EndFile(outbox_path, **settings))
        return files[-1]

    yield open_file
    for file in files:
        file.close()


def test_its_place(outbox_path):
    assert end_path(outbox_path).name == "outbox.end"
    assert end_path(outbox_path.with_name("a.end")).name == "a.end.end"


def test_a_new_file_knows_nothing_and_has_its_size(opened, outbox_path):
    assert opened().known is None
    assert end_path(outbox_path).stat().st_size == 65_536


def test_each_commit_is_known_exactly(opened):
    file = opened(margin=10)
    for last in (3, 9, 40):
        commit(file, FIRST, last)
    known = opened().known
    assert (known.end, known.ends, known.kept) == (end(FIRST, 40), ((FIRST, 40),), None)


def test_few_commits_wait_for_the_disk(opened, monkeypatch):
    file, synced = opened(margin=100), []
    monkeypatch.setattr(module.os, "fdatasync", synced.append)
    for last in range(1, 1001):
        commit(file, FIRST, last)
    assert len(synced) == 10


def test_after_a_power_cut_the_reservation_is_the_bound(opened, outbox_path):
    file = opened(margin=100)
    commit(file, FIRST, 7)
    commit(file, FIRST, 90)
    file.close()
    path = end_path(outbox_path)
    raw = path.read_bytes()
    table = json.loads(raw[9:4096].partition(b"\n")[0])
    path.write_bytes(module._line({**table, "boot": "before", "last": 7}).ljust(4096) + raw[4096:])
    assert opened().known.ends == ((FIRST, 107),)


@pytest.mark.parametrize("clean", [True, False])
def test_a_clean_stop_is_exact_after_a_power_cut_too(opened, monkeypatch, clean):
    file = opened(margin=100)
    commit(file, FIRST, 7, clean=clean)
    monkeypatch.setattr(module, "_boot_id", lambda: "another")
    assert opened().known.ends == ((FIRST, 7 if clean else 107),)


def test_older_streams_are_kept_while_their_blocks_wait(opened):
    commit(opened(margin=10), FIRST, 30)
    file = opened(margin=10)
    commit(file, SECOND, 5)
    commit(file, SECOND, 50, oldest=FIRST)
    assert opened().known.ends == ((FIRST, 30), (SECOND, 50))
    file = opened(margin=10)
    commit(file, "c" * 13, 5)
    commit(file, "c" * 13, 50, oldest="c" * 13)  # the older ones are acked
    assert opened().known.ends == (("c" * 13, 50),)


def test_a_stream_that_committed_nothing(opened):
    """Killed between reservation and commit: the stream before it is still the last."""
    commit(opened(), FIRST, 30)
    opened().reserve(end(SECOND, 5), lambda: FIRST)
    known = opened().known
    assert (known.end, known.announced, known.ends) == (end(FIRST, 30), SECOND, ((FIRST, 30),))


def test_kept_records_add_up_until_a_commit(opened):
    file = opened()
    commit(file, FIRST, 30)
    file.note_kept(Kept(100, 5000, 6000))
    file.note_kept(Kept(200, 5000, 7000))
    assert opened().known.kept == Kept(200, 5000, 7000)
    file = opened()  # another start, and its commits fail, too
    file.reserve(end(SECOND, 5), lambda: FIRST)
    file.note_kept(Kept(40, 8000, 9000))
    assert opened().known.kept == Kept(240, 5000, 9000)
    commit(opened(), SECOND, 5)
    assert opened().known.kept is None


def test_a_second_opening_is_refused_until_the_first_closes(opened, outbox_path):
    file = opened()
    commit(file, FIRST, 1)
    with pytest.raises(OutboxInUse, match="another dewline-gateway"):
        EndFile(outbox_path)
    file.close()
    EndFile(outbox_path).close()


@pytest.mark.parametrize("offset", [0, 20, 4096, 4120])
def test_one_damaged_slot_leaves_the_other(opened, outbox_path, offset):
    file = opened(margin=10)
    commit(file, FIRST, 30)
    file.close()
    raw = bytearray(end_path(outbox_path).read_bytes())
    raw[offset] ^= 1
    end_path(outbox_path).write_bytes(raw)
    ((stream, last),) = opened().known.ends
    assert stream == FIRST
    assert 30 <= last <= 40


def test_a_deleted_file_is_created_again(opened, outbox_path):
    file = opened()
    commit(file, FIRST, 30)
    end_path(outbox_path).unlink()
    commit(file, FIRST, 31)
    assert opened().known.end == end(FIRST, 31)


def test_a_full_disk_stops_no_commit(opened, disk, caplog):
    caplog.set_level(logging.ERROR)
    disk.refuse()
    file = opened()
    commit(file, FIRST, 30)
    commit(file, FIRST, 31)
    disk.take()
    assert len(caplog.records) == 1  # once, not at each commit
    commit(file, FIRST, 32)
    assert opened().known.end == end(FIRST, 32)
