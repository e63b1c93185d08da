"""The group of ingest's shared subscriptions: one per lake, random, kept."""

from pathlib import Path

import pytest

from cloud.errors import LakeError, LakeExists, LakeMissing
from cloud.ingest.group import GROUP_PATH, shared_group
from cloud.lake.store import FolderStore


def test_every_process_of_a_lake_has_the_same_group(tmp_path: Path) -> None:
    first = shared_group(FolderStore(tmp_path / "lake"))
    assert shared_group(FolderStore(tmp_path / "lake")) == first
    assert shared_group(FolderStore(tmp_path / "other")) != first
    assert len(first) == 32


class Late(FolderStore):
    """A store in which another process makes the group between our two looks."""

    def read(self, path: str) -> bytes:
        if not self._root.exists():
            raise LakeMissing(path)
        return super().read(path)

    def create(self, path: str, _data: bytes) -> None:
        super().create(path, b"made-by-another-process")
        raise LakeExists(path)


def test_two_processes_that_start_together_agree(tmp_path: Path) -> None:
    assert shared_group(Late(tmp_path / "lake")) == "made-by-another-process"


@pytest.mark.parametrize("text", ["", "short", "with/slash-and-enough-characters", "+" * 20])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    store = FolderStore(tmp_path / "lake")
    store.create(GROUP_PATH, text.encode())
    with pytest.raises(LakeError, match=r"ingest/group in the lake .* Delete the file") as raised:
        shared_group(store)
    assert raised.value.retryable


def test_a_new_group_is_made_after_the_file_is_deleted(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "lake")
    before = shared_group(store)
    store.delete(GROUP_PATH)
    assert shared_group(store) != before
