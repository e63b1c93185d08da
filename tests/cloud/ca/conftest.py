"""An authority of the test's own."""

import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.ca.authority import Authority
from deploy.local.servers import temporary_parent

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def new_folder() -> Iterator[Callable[[], Path]]:
    """`new_folder()`: a path in memory at which nothing stands; an authority calls fsync often."""
    with tempfile.TemporaryDirectory(dir=temporary_parent()) as parent:
        yield lambda: Path(parent) / secrets.token_hex(4)


@pytest.fixture
def authority(new_folder: Callable[[], Path]) -> Authority:
    return Authority.create(new_folder(), "attics", NOW)


@pytest.fixture
def openssl() -> Callable[..., str]:
    """`openssl(words...)`: what it says, whether content or not."""

    def run(*words: object) -> str:
        done = subprocess.run(
            ["openssl", *map(str, words)], check=False, capture_output=True, text=True, timeout=20
        )
        return done.stdout + done.stderr

    return run
