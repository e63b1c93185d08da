"""Fixtures for several rooms' tests: waiting, processes, real servers shared by a run."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.elasticsearch import Elasticsearch
from deploy.local.mariadb import MariaDb
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from deploy.local.servers import temporary_parent

DEVICES = ("ewr", "jfk", "lga", "gw-1", "gw-2", "gw-3")


# a busy machine is no counterexample
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """`wait_until(condition, limit_s=10)`: returns once it is true, fails at the limit."""

    def wait(condition: Callable[[], object], limit_s: float = 10.0) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"not so within {limit_s} s: {condition}"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def processes_in() -> Callable[[Path], list[int]]:
    """`processes_in(folder)`: pids that work in a folder or name it; the dead do not count."""

    def find(folder: Path) -> list[int]:
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _is_about(entry, str(folder))
        ]

    return find


def _is_about(process: Path, folder: str) -> bool:
    try:
        named = folder in (process / "cmdline").read_bytes().decode(errors="replace")
        return named or str((process / "cwd").readlink()).startswith(folder)
    except OSError:  # it has ended meanwhile
        return False


@pytest.fixture(scope="session")
def stack_base() -> Generator[Path]:
    """Folder that servers of another user can reach; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="dewline-test-", dir=temporary_parent()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=os.getuid() != 0)


@pytest.fixture(scope="session")
def accounts() -> Mapping[str, BrokerAccount]:
    """The broker's accounts by name: `ingest`, `observer`, and a few devices."""
    devices = [BrokerAccount.generate(name, "device") for name in DEVICES]
    others = [
        BrokerAccount.generate("ingest", "ingest"),
        BrokerAccount.generate("observer", "observer"),
    ]
    return {account.name: account for account in (*devices, *others)}


@pytest.fixture(scope="session")
def mosquitto(stack_base: Path, accounts: Mapping[str, BrokerAccount]) -> Generator[Mosquitto]:
    """The run's broker. A test that stops or erases one starts its own."""
    server = Mosquitto.start(stack_base, list(accounts.values()))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb(stack_base: Path) -> Generator[MariaDb]:
    """The run's database server; its user may also create databases named `dewline_...`."""
    server = MariaDb.start(stack_base)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def elasticsearch(stack_base: Path) -> Generator[Elasticsearch]:
    """The run's Elasticsearch node."""
    server = Elasticsearch.start(stack_base)
    yield server
    server.stop()
