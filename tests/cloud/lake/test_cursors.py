"""Cursors: the latest readable one counts, and a projection has one writer."""

from pathlib import Path

import pytest

from cloud.errors import ProjectionError
from cloud.lake.cursors import CursorStore, all_cursors
from cloud.lake.positions import Cursor, FileSequence
from cloud.lake.store import FolderStore
from contract.topics import Lane

START = "1700049600000-0123abcd"


def at(n: int) -> Cursor:
    return Cursor({FileSequence("node-1", START, lane): n for lane in Lane})


def test_the_last_saved_is_loaded_and_three_are_kept(store: FolderStore) -> None:
    cursors = CursorStore(store, "search")
    assert cursors.load() == Cursor()
    for n in range(1, 8):
        cursors.save(at(n))
    assert CursorStore(store, "search").load() == at(7)
    assert store.list("cursors/") == [f"cursors/search/{n:09d}.json" for n in (5, 6, 7)]


def test_a_second_writer_is_refused_even_with_an_equal_cursor(store: FolderStore) -> None:
    one, two = CursorStore(store, "search"), CursorStore(store, "search")
    one.load()
    two.load()
    one.save(at(1))
    with pytest.raises(ProjectionError, match="one writer"):
        two.save(at(1))
    two.load()
    two.save(at(2))
    assert one.load() == at(2)


def test_an_unreadable_file_falls_back_to_the_one_before(
    store: FolderStore, tmp_path: Path
) -> None:
    cursors = CursorStore(store, "search")
    cursors.save(at(1))
    cursors.save(at(2))
    (tmp_path / "lake/cursors/search/000000002.json").write_bytes(b'{"passed": [{"no')
    assert CursorStore(store, "search").load() == at(1)
    fresh = CursorStore(store, "search")
    fresh.save(at(3))  # its number is beyond the unreadable one
    assert CursorStore(store, "search").load() == at(3)


def test_registering_keeps_what_is_there(store: FolderStore) -> None:
    CursorStore(store, "ledger").register()
    cursors = CursorStore(store, "search")
    cursors.save(at(4))
    CursorStore(store, "search").register()
    assert all_cursors(store) == {"ledger": Cursor(), "search": at(4)}


def test_a_projection_has_a_plain_name(store: FolderStore) -> None:
    with pytest.raises(ValueError, match="not a projection's name"):
        CursorStore(store, "../raw")
