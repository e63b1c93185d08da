"""A lake on a folder of its own, and blocks to put into it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.lake.positions import LandedBlock
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore

NOON = 1_700_049_600_000  # 2023-11-15T12:00:00Z


@pytest.fixture(scope="session")
def noon() -> int:
    return NOON


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


@pytest.fixture
def raw(tmp_path: Path) -> RawTable:
    (tmp_path / "lake").mkdir(exist_ok=True)
    return RawTable(tmp_path / "lake" / "raw")


@pytest.fixture(scope="session")
def make_blocks() -> Callable[..., tuple[LandedBlock, ...]]:
    """Blocks whose payloads name them; the second of each three could not be decoded."""

    def make(name: str, total: int = 2, received_at: int = NOON) -> tuple[LandedBlock, ...]:
        return tuple(
            LandedBlock(
                received_at=received_at + i,
                topic=f"dewline/v1/{name}/up/live",
                device_id=name,
                stream_id=None if i % 3 == 1 else "abcdefghijklm",
                first=None if i % 3 == 1 else i * 10 + 1,
                last=None if i % 3 == 1 else i * 10 + 10,
                payload=f"{name}-{i}".encode() + bytes(range(256)),
            )
            for i in range(total)
        )

    return make
