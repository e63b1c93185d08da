"""Fold and reader together: whatever was landed is read once and in order, at any moment."""

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.errors import LakeMissing
from cloud.lake.cursors import CursorStore, all_cursors
from cloud.lake.fold import fold
from cloud.lake.landing import LandingWriter, landed_paths
from cloud.lake.positions import Cursor, FileSequence, LandedBlock, LandedFile
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from contract.topics import Lane

Blocks = Callable[..., tuple[LandedBlock, ...]]
START = "1700049600000-0123abcd"
HOUR_MS = 3_600_000


def read(store: FolderStore, raw: RawTable, cursor: Cursor) -> list[LandedFile]:
    return list(LakeReader(store, raw).after(cursor))


def test_a_folded_file_is_read_from_the_table(
    store: FolderStore, raw: RawTable, make_blocks: Blocks, noon: int
) -> None:
    writer = LandingWriter(store, "node-1", START)
    written = [LandedFile(writer.commit(lane, b), b) for lane in Lane for b in [make_blocks("a")]]
    result = fold(store, raw, (), noon + HOUR_MS, grace_s=60)
    assert (result.appended_files, result.deleted_files, result.more) == (3, 3, False)
    assert store.list("landing/") == []
    assert sorted(read(store, raw, Cursor()), key=lambda f: f.position) == sorted(
        written, key=lambda f: f.position
    )


def test_a_file_stays_until_every_cursor_covers_it_and_the_grace_is_over(
    store: FolderStore, raw: RawTable, make_blocks: Blocks, noon: int
) -> None:
    writer = LandingWriter(store, "node-1", START)
    positions = [writer.commit(Lane.LIVE, make_blocks("a", 1, noon + 60_000 * n)) for n in range(4)]
    ahead = Cursor().after(positions)
    behind = Cursor().after(positions[:2])
    at = noon + 60_000 * 10
    assert fold(store, raw, (ahead, Cursor()), at, grace_s=60).deleted_files == 0
    assert fold(store, raw, (ahead, behind), at, grace_s=595).deleted_files == 1  # n=1 is 600 s old
    assert fold(store, raw, (ahead, behind), at, grace_s=60).deleted_files == 1
    assert fold(store, raw, (ahead,), at, grace_s=600).deleted_files == 0
    assert fold(store, raw, (ahead,), at + HOUR_MS * 2, grace_s=60).deleted_files == 2


def test_a_batch_is_bounded_and_says_that_more_waits(
    store: FolderStore, raw: RawTable, make_blocks: Blocks, noon: int
) -> None:
    writer = LandingWriter(store, "node-1", START)
    for name in ("a", "b", "c"):
        writer.commit(Lane.LIVE, make_blocks(name, 15_000))
    results = [fold(store, raw, (), noon, grace_s=60) for _ in range(3)]
    assert [(r.appended_files, r.more) for r in results] == [(2, True), (1, False), (0, False)]


def test_a_missing_number_stops_its_sequence_only_and_is_reported(
    store: FolderStore, raw: RawTable, make_blocks: Blocks, noon: int
) -> None:
    writer = LandingWriter(store, "node-1", START)
    for _ in range(3):
        for lane in (Lane.LIVE, Lane.ALERT):
            writer.commit(lane, make_blocks("a"))
    live = FileSequence("node-1", START, Lane.LIVE)
    lost_path = landed_paths(store)[live][2]
    lost = store.read(lost_path)
    store.delete(lost_path)
    reader = LakeReader(store, raw)
    numbers = [(f.position.sequence.lane, f.position.n) for f in reader.after(Cursor())]
    assert numbers == [("alert", 1), ("alert", 2), ("alert", 3), ("live", 1)]
    assert [(p.sequence.lane, p.n) for p in reader.holes] == [("live", 2)]
    assert fold(store, raw, (), noon, grace_s=60).appended_files == 4
    store.create(lost_path, lost)  # found in a backup
    assert len(list(reader.after(Cursor()))) == 6
    assert reader.holes == set()


def test_a_table_behind_its_cursor_is_not_passed_over(
    store: FolderStore, raw: RawTable, make_blocks: Blocks, noon: int
) -> None:
    writer = LandingWriter(store, "node-1", START)
    positions = [writer.commit(Lane.LIVE, make_blocks("a")) for _ in range(2)]
    CursorStore(store, "raw").save(Cursor().after(positions[:1]))  # the table was lost
    with pytest.raises(LakeMissing, match="file 1 must be folded first"):
        fold(store, raw, (), noon, grace_s=60)


def test_files_that_vanish_while_they_are_read_are_in_the_table(
    store: FolderStore, raw: RawTable, make_blocks: Blocks, noon: int
) -> None:
    writer = LandingWriter(store, "node-1", START)
    written = [
        LandedFile(writer.commit(Lane.LIVE, blocks), blocks)
        for blocks in (make_blocks(f"d{n}") for n in range(10))
    ]
    files = LakeReader(store, raw).after(Cursor())
    first = [next(files) for _ in range(3)]
    assert fold(store, raw, (), noon + 2 * HOUR_MS, grace_s=0).deleted_files == 10
    assert first + list(files) == written


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.sampled_from(Lane), st.integers(1, 3)),
        st.tuples(st.just("fold"), st.booleans(), st.just(0)),
        st.tuples(st.just("read"), st.sampled_from(["one", "two"]), st.integers(1, 9)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=16,
)


@settings(max_examples=25, deadline=None)
@given(OPERATIONS)
def test_every_cursor_reads_each_file_once_and_in_order(
    make_blocks: Blocks, noon: int, operations: list[tuple[str, object, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, raw = FolderStore(Path(folder)), RawTable(Path(folder) / "raw")
        cursors = {name: CursorStore(store, name) for name in ("one", "two")}
        seen: dict[str, list[LandedFile]] = {name: [] for name in cursors}
        for cursor in cursors.values():
            cursor.register()
        written: list[LandedFile] = []
        starts = 0
        writer = LandingWriter(store, "node-1", START)

        def take(name: str, limit: int) -> None:
            files = LakeReader(store, raw).after(cursors[name].load())
            batch = [f for f, _ in zip(files, range(limit), strict=False)]
            seen[name] += batch
            cursors[name].save(cursors[name].load().after([f.position for f in batch]))

        for verb, what, number in operations:
            if verb == "commit":
                blocks = make_blocks(f"d{len(written)}", number)
                written.append(LandedFile(writer.commit(Lane(what), blocks), blocks))
            elif verb == "fold":
                registered = all_cursors(store).values() if what else ()
                fold(store, raw, registered, noon + 2 * HOUR_MS, grace_s=0)
            elif verb == "read":
                take(str(what), number)
            else:
                starts += 1
                writer = LandingWriter(store, "node-1", f"17000496{starts:05d}-0123abcd")
        for name in cursors:
            take(name, 1000)
            assert sorted(seen[name], key=lambda f: f.position) == sorted(
                written, key=lambda f: f.position
            )
            for sequence in {f.position.sequence for f in written}:
                numbers = [f.position.n for f in seen[name] if f.position.sequence == sequence]
                assert numbers == sorted(numbers)


FOLD_FOR_EVER = """
import sys
from pathlib import Path
from cloud.errors import LakeError
from cloud.lake.fold import fold
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore
root = Path(sys.argv[1])
print("ready", flush=True)
while True:
    fold(FolderStore(root), RawTable(root / "raw"), (), int(sys.argv[2]), grace_s=0)
"""


def test_a_fold_killed_at_random_moments_loses_and_doubles_nothing(
    store: FolderStore, raw: RawTable, tmp_path: Path, make_blocks: Blocks, noon: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    writer = LandingWriter(store, "node-1", START)
    written: list[LandedFile] = []
    followed: list[LandedFile] = []
    passed = Cursor()
    arguments = [
        sys.executable,
        "-c",
        FOLD_FOR_EVER,
        str(tmp_path / "lake"),
        str(noon + HOUR_MS * 2),
    ]
    for _ in range(8):
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        until = time.monotonic() + moments.uniform(0.0, 0.25)
        while time.monotonic() < until:
            blocks = make_blocks(f"d{len(written)}", 3)
            written.append(LandedFile(writer.commit(Lane.LIVE, blocks), blocks))
            new = read(store, raw, passed)
            followed += new
            passed = passed.after([f.position for f in new])
        assert child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.communicate()
    while fold(store, raw, (), noon + HOUR_MS * 2, grace_s=0).more:
        pass
    assert len(written) >= 8  # one a round, on a slow machine
    assert followed + read(store, raw, passed) == written
    assert read(store, raw, Cursor()) == written
    assert list(raw.read_after(Cursor())) == written
    assert store.list("landing/") == []
