"""Table raw: each file once, durable, byte-true."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.errors import LakeError, LakeMissing
from cloud.lake.positions import Cursor, FileSequence, LandedBlock, LandedFile, Position
from cloud.lake.raw import RawTable
from cloud.lake.store import FileSystem
from contract.topics import Lane

Blocks = Callable[..., tuple[LandedBlock, ...]]
LIVE = FileSequence("node-1", "1700049600000-0123abcd", Lane.LIVE)
ALERT = FileSequence("node-1", "1700049600000-0123abcd", Lane.ALERT)


class WatchedDisk(FileSystem):
    def __init__(self) -> None:
        self.synced: list[Path] = []

    def sync_path(self, path: Path) -> None:
        super().sync_path(path)
        self.synced.append(path)


def file(sequence: FileSequence, n: int, blocks: tuple[LandedBlock, ...]) -> LandedFile:
    return LandedFile(Position(sequence, n), blocks)


def test_appending_twice_holds_once(raw: RawTable, make_blocks: Blocks) -> None:
    files = [file(LIVE, n, make_blocks(f"d{n}", n)) for n in (1, 2, 3)]
    assert raw.append(files[:2]) == tuple(files[:2])
    assert raw.append(files) == (files[2],)
    assert raw.append(files) == ()
    assert list(raw.read_after(Cursor())) == files
    assert (raw.folded(LIVE), raw.folded(ALERT)) == (3, 0)
    assert raw.positions() == Cursor({LIVE: 3})


def test_a_number_is_not_skipped(raw: RawTable, make_blocks: Blocks) -> None:
    raw.append([file(LIVE, 1, make_blocks("a"))])
    with pytest.raises(LakeMissing, match="file 2 must be folded first"):
        raw.append([file(LIVE, 3, make_blocks("c"))])


def test_of_two_folds_that_append_one_file_one_fails(tmp_path: Path, make_blocks: Blocks) -> None:
    """The second opens the table before the first commits, and commits after it."""

    class Interrupted(RawTable):
        def _commit(self, table, files):  # type: ignore[no-untyped-def]  # between open and commit
            RawTable(tmp_path / "raw").append(files)
            super()._commit(table, files)

    files = [file(LIVE, 1, make_blocks("a"))]
    RawTable(tmp_path / "raw").append([file(ALERT, 1, make_blocks("b"))])
    with pytest.raises(LakeError, match="append failed"):
        Interrupted(tmp_path / "raw").append(files)
    assert list(RawTable(tmp_path / "raw").read_after(Cursor({ALERT: 1}))) == files


def test_blocks_of_two_days_stay_one_file(raw: RawTable, make_blocks: Blocks) -> None:
    midnight = 1_700_092_800_000  # 2023-11-16T00:00:00Z
    blocks = make_blocks("a", 1, midnight - 1) + make_blocks("a", 1, midnight)
    raw.append([file(LIVE, 1, blocks)])
    assert [f.blocks for f in raw.read_after(Cursor())] == [blocks]


def test_compaction_changes_nothing_for_readers(raw: RawTable, make_blocks: Blocks) -> None:
    files = [file(s, n, make_blocks(f"d{n}", 3)) for n in range(1, 9) for s in (LIVE, ALERT)]
    for pair in zip(files[::2], files[1::2], strict=True):
        raw.append(pair)
    before = list(raw.read_after(Cursor({LIVE: 5})))
    raw.compact()
    assert list(raw.read_after(Cursor({LIVE: 5}))) == before
    assert [f.position.n for f in before] == [*range(1, 9), 6, 7, 8]
    assert raw.folded(LIVE) == 8


def test_many_rows_come_in_bounded_pieces_and_in_order(raw: RawTable, make_blocks: Blocks) -> None:
    files = [file(LIVE, n, make_blocks(f"d{n}", 700)) for n in range(1, 9)]
    raw.append(files)
    assert list(raw.read_range(LIVE, 2, 7)) == files[1:7]


def test_every_file_of_a_commit_is_synced_data_before_log(
    tmp_path: Path, make_blocks: Blocks
) -> None:
    disk = WatchedDisk()
    raw = RawTable(tmp_path / "raw", disk)
    for n in (1, 2):
        raw.append([file(LIVE, n, make_blocks("a"))])
    there = {p for p in (tmp_path / "raw").rglob("*") if p.is_file()}
    assert there <= set(disk.synced)
    folders = {p.parent for p in there} | {tmp_path / "raw", tmp_path}
    assert folders <= set(disk.synced)
    data = [disk.synced.index(p) for p in there if p.suffix == ".parquet"]
    assert len(data) == 2
    assert disk.synced.index(tmp_path / "raw/_delta_log" / f"{1:020d}.json") > min(data)
    assert disk.synced.index(tmp_path / "raw/_delta_log" / f"{2:020d}.json") > max(data)


def test_a_commit_of_a_killed_process_is_synced_by_the_next(
    tmp_path: Path, make_blocks: Blocks
) -> None:
    RawTable(tmp_path / "raw").append([file(LIVE, 1, make_blocks("a"))])
    disk = WatchedDisk()
    RawTable(tmp_path / "raw", disk).append([file(LIVE, 1, make_blocks("a"))])
    assert {p for p in (tmp_path / "raw").rglob("*") if p.is_file()} <= set(disk.synced)


def test_a_table_that_cannot_be_read_is_a_lake_error(tmp_path: Path, make_blocks: Blocks) -> None:
    raw = RawTable(tmp_path / "raw")
    raw.append([file(LIVE, 1, make_blocks("a"))])
    for path in (tmp_path / "raw").rglob("*.parquet"):
        path.write_bytes(b"no parquet")
    with pytest.raises(LakeError, match="cannot be read"):
        list(raw.read_after(Cursor()))
