"""Landing files: format, path, numbering, and answers that say nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.errors import LakeError, LakeExists, LakeMissing
from cloud.lake.landing import LandingWriter, hour_at, parse_path, path_of, read_file, start_id
from cloud.lake.positions import FileSequence, LandedBlock, Position
from cloud.lake.store import FolderStore
from contract.topics import Lane

Blocks = Callable[..., tuple[LandedBlock, ...]]
START = "1700049600000-0123abcd"


class UnsureStore(FolderStore):
    """Fails after it has done the work, as a lost answer does, while `unsure` is positive."""

    unsure = 0

    def create(self, path: str, data: bytes) -> None:
        super().create(path, data)
        if self.unsure > 0:
            self.unsure -= 1
            raise LakeError("no answer")


def test_a_commit_reads_back_whole(store: FolderStore, make_blocks: Blocks) -> None:
    blocks = make_blocks("attic", 7)
    position = LandingWriter(store, "node-1", START).commit(Lane.LIVE, blocks)
    assert position == Position(FileSequence("node-1", START, Lane.LIVE), 1)
    (path,) = store.list("landing/")
    assert path == f"landing/20231115t12/node-1/{START}/live/000000001.parquet"
    file = read_file(store, path)
    assert (file.position, file.blocks) == (position, blocks)


def test_each_lane_counts_for_itself(store: FolderStore, make_blocks: Blocks) -> None:
    writer = LandingWriter(store, "node-1", START)
    lanes = [Lane.LIVE, Lane.ALERT, Lane.LIVE, Lane.LIVE, Lane.BACKFILL]
    numbers = [writer.commit(lane, make_blocks("attic")).n for lane in lanes]
    assert numbers == [1, 1, 2, 3, 1]


def test_a_sequence_of_an_earlier_process_is_continued(
    store: FolderStore, make_blocks: Blocks
) -> None:
    LandingWriter(store, "node-1", START).commit(Lane.LIVE, make_blocks("attic"))
    writer = LandingWriter(store, "node-1", START, {Lane.LIVE: 1})
    assert writer.commit(Lane.LIVE, make_blocks("cellar")).n == 2
    assert writer.commit(Lane.ALERT, make_blocks("attic")).n == 1


def test_a_lost_answer_is_asked_for_again(tmp_path: Path, make_blocks: Blocks) -> None:
    store = UnsureStore(tmp_path)
    writer = LandingWriter(store, "node-1", START)
    store.unsure = 1
    with pytest.raises(LakeError):
        writer.commit(Lane.LIVE, make_blocks("attic"))
    with pytest.raises(ValueError, match="may exist or not"):
        writer.commit(Lane.LIVE, make_blocks("cellar"))
    assert writer.commit(Lane.LIVE, make_blocks("attic")).n == 1
    assert writer.commit(Lane.LIVE, make_blocks("cellar")).n == 2
    assert len(store.list("landing/")) == 2


def test_a_second_process_under_one_start_is_refused(
    store: FolderStore, make_blocks: Blocks
) -> None:
    LandingWriter(store, "node-1", START).commit(Lane.LIVE, make_blocks("attic"))
    with pytest.raises(LakeExists):
        LandingWriter(store, "node-1", START).commit(Lane.LIVE, make_blocks("cellar"))


def test_every_flipped_byte_of_a_payload_is_noticed(
    store: FolderStore, tmp_path: Path, make_blocks: Blocks
) -> None:
    LandingWriter(store, "node-1", START).commit(Lane.LIVE, make_blocks("attic"))
    (path,) = store.list("landing/")
    data = bytearray(store.read(path))
    data[len(data) // 3] ^= 0x40
    (tmp_path / "lake" / path).write_bytes(bytes(data))
    with pytest.raises(LakeError, match="damaged"):
        read_file(store, path)


def test_what_is_no_landing_file_is_named(store: FolderStore) -> None:
    assert parse_path("cursors/search/000000001.json") is None
    with pytest.raises(LakeError, match="not the path"):
        read_file(store, "landing/x.parquet")
    with pytest.raises(LakeMissing):
        read_file(store, f"landing/20231115t12/node-1/{START}/live/000000001.parquet")


@given(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
    st.integers(0, 2**42),
    st.sampled_from(Lane),
    st.integers(1, 10**12),
    st.integers(0, 2**42),
)
def test_a_path_names_its_position(node: str, now: int, lane: Lane, n: int, at: int) -> None:
    position = Position(FileSequence(node, start_id(now), lane), n)
    path = path_of(position, at)
    assert parse_path(path) == position
    assert 0 <= at - hour_at(path) < 3_600_000
