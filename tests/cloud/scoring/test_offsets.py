import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.errors import ProjectionError
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.positions import Cursor, FileSequence, Position
from cloud.lake.store import FolderStore
from cloud.scoring.offsets import available, capped, covers, cursor_from, offset_of, spans
from contract.topics import Lane

START = "1356998400000-0000abcd"
SEQUENCES = [FileSequence(f"node-{k}", START, lane) for k in (1, 2) for lane in Lane]
cursors = st.dictionaries(st.sampled_from(SEQUENCES), st.integers(0, 20)).map(Cursor)


def passed(cursor):
    return {sequence: n for sequence, n in cursor.passed.items() if n}


@given(cursors)
def test_an_offset_is_the_cursor_in_other_clothes(cursor):
    assert cursor_from(offset_of(cursor)) == cursor


def test_what_is_no_offset_is_refused():
    with pytest.raises(ProjectionError, match="not a valid offset"):
        cursor_from({"node-1/live": 3})


@given(cursors, cursors, st.integers(1, 7))
def test_batches_reach_the_end_whatever_their_size(start, more, files):
    end = start.after([Position(sequence, n) for sequence, n in more.passed.items()])
    at, steps = start, 0
    while passed(at) != passed(end):
        following = capped(at, end, files)
        taken = sum(s.last - s.first + 1 for s in spans(at, following))
        assert 1 <= taken <= files
        assert covers(following, at)
        at, steps = following, steps + 1
    total = sum(s.last - s.first + 1 for s in spans(start, end))
    assert steps == -(-total // files)
    assert capped(end, end, files) == end


@given(cursors, st.integers(1, 30))
def test_live_comes_before_backlog(end, files):
    taken = capped(Cursor(), end, files)
    live = {s: n for s, n in passed(end).items() if s.lane is not Lane.BACKFILL}
    old = {s: n for s, n in passed(taken).items() if s.lane is Lane.BACKFILL}
    assert not old or covers(taken, Cursor(live))


def test_what_is_available_ends_at_a_hole_and_counts_what_was_folded(tmp_path):
    store = FolderStore(tmp_path)
    live, old = SEQUENCES[1], SEQUENCES[2]
    for n in (3, 4, 6):
        store.create(f"landing/20130101t00/node-1/{START}/live/{n:09d}.parquet", b"x")
    assert passed(available(store)) == {}
    CursorStore(store, RAW_CURSOR).save(Cursor({live: 3, old: 8}))
    assert passed(available(store)) == {live: 4, old: 8}
