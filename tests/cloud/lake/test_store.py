"""The folder store: once, whole, durable, in that order."""

import os
from pathlib import Path

import pytest

from cloud.errors import LakeError, LakeExists, LakeMissing
from cloud.lake.store import FileSystem, FolderStore


class PowerCutDisk(FileSystem):
    """The real disk, and an account of what a power cut would leave of it.

    A name survives if its folder was synced while it stood there; bytes survive if they were
    synced. `torn` lists names that became durable before their bytes were.
    """

    def __init__(self) -> None:
        self.synced_inodes: set[int] = set()
        self.durable_names: set[Path] = set()
        self.torn: list[Path] = []
        self.calls: list[str] = []

    def link(self, source: Path, target: Path) -> None:
        self.calls.append("link")
        super().link(source, target)

    def sync(self, descriptor: int) -> None:
        self.calls.append("sync")
        super().sync(descriptor)
        self.synced_inodes.add(os.fstat(descriptor).st_ino)

    def sync_path(self, path: Path) -> None:
        self.calls.append("sync_path")
        super().sync_path(path)
        for entry in path.iterdir():
            self.durable_names.add(entry)
            if entry.is_file() and entry.stat().st_ino not in self.synced_inodes:
                self.torn.append(entry)

    def survives(self, path: Path, root: Path) -> bool:
        below = [p for p in (path, *path.parents) if p == root or root in p.parents]
        return path.stat().st_ino in self.synced_inodes and set(below) <= self.durable_names


class FailingDisk(FileSystem):
    """A disk whose next call of one name fails once."""

    def __init__(self, failing: str) -> None:
        self.failing: str | None = failing

    def _fail(self, name: str) -> None:
        if self.failing == name:
            self.failing = None
            raise OSError(28, "No space left on device")

    def write(self, descriptor: int, data: bytes) -> None:
        self._fail("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._fail("sync")
        super().sync(descriptor)

    def link(self, source: Path, target: Path) -> None:
        self._fail("link")
        super().link(source, target)

    def sync_path(self, path: Path) -> None:
        if path.name == "b":
            self._fail("sync_path")
        super().sync_path(path)


def test_what_was_created_survives_a_power_cut(tmp_path: Path) -> None:
    disk = PowerCutDisk()
    root = tmp_path / "lake"
    store = FolderStore(root, disk)
    for path in ("a/b/c/1.bin", "a/b/c/2.bin", "a/d/1.bin", "top.bin"):
        store.create(path, b"bytes")
        assert disk.survives(root / path, root), path
    assert disk.torn == []


def test_bytes_are_synced_before_the_name_and_the_name_before_the_return(tmp_path: Path) -> None:
    disk = PowerCutDisk()
    store = FolderStore(tmp_path, disk)
    store.create("one.bin", b"bytes")
    disk.calls.clear()
    store.create("two.bin", b"bytes")
    assert disk.calls == ["sync", "link", "sync_path"]


def test_a_taken_path_was_made_durable_before_it_is_reported(tmp_path: Path) -> None:
    disk = PowerCutDisk()
    store = FolderStore(tmp_path, disk)
    store.create("one.bin", b"bytes")
    disk.durable_names.clear()
    with pytest.raises(LakeExists):
        store.create("one.bin", b"bytes")
    assert tmp_path / "one.bin" in disk.durable_names


def test_a_path_is_created_once(store: FolderStore) -> None:
    store.create("a/1.bin", b"first")
    with pytest.raises(LakeExists, match=r"a/1\.bin"):
        store.create("a/1.bin", b"second")
    assert store.read("a/1.bin") == b"first"


@pytest.mark.parametrize("call", ["write", "sync", "link", "sync_path"])
def test_a_failing_disk_leaves_the_whole_file_or_none(tmp_path: Path, call: str) -> None:
    store = FolderStore(tmp_path, FailingDisk(call))
    with pytest.raises(LakeError, match=r"1\.bin.*No space left"):
        store.create("a/b/1.bin", b"bytes")
    assert store.list("") == (["a/b/1.bin"] if call == "sync_path" else [])
    assert [p.name for p in tmp_path.rglob(".tmp*")] == []
    try:
        store.create("a/b/1.bin", b"bytes")
    except LakeExists:
        assert call == "sync_path"
    assert store.read("a/b/1.bin") == b"bytes"


def test_list_is_sorted_and_passes_over_temporaries(store: FolderStore, tmp_path: Path) -> None:
    for path in ("b/2.bin", "a/1.bin", "b/10.bin", "c.bin"):
        store.create(path, b"")
    (tmp_path / "lake" / "b" / ".tmp-left-by-a-killed-process").write_bytes(b"")
    assert store.list("") == ["a/1.bin", "b/10.bin", "b/2.bin", "c.bin"]
    assert store.list("b/") == ["b/10.bin", "b/2.bin"]
    assert store.list("nothing/") == []


def test_delete_tidies_empty_folders_and_may_be_repeated(
    store: FolderStore, tmp_path: Path
) -> None:
    store.create("a/b/1.bin", b"")
    store.create("a/2.bin", b"")
    store.delete("a/b/1.bin")
    store.delete("a/b/1.bin")
    assert [p.name for p in (tmp_path / "lake" / "a").iterdir()] == ["2.bin"]
    store.create("a/b/1.bin", b"again")  # the folder that it knew is gone
    assert store.read("a/b/1.bin") == b"again"


def test_missing_and_forbidden_paths_are_named(store: FolderStore) -> None:
    with pytest.raises(LakeMissing, match=r"x\.bin does not exist"):
        store.read("x.bin")
    for path in ("../x", "/x", "a//b", "", "a/.hidden", "a\0b", "."):
        with pytest.raises(LakeError, match="not a path of the lake"):
            store.create(path, b"")


def test_a_file_where_a_folder_should_be_is_a_failure_not_a_taken_path(store: FolderStore) -> None:
    store.create("a", b"")
    with pytest.raises(LakeError) as caught:
        store.create("a/b", b"")
    assert not isinstance(caught.value, LakeExists)
