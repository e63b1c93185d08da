"""`ingest run` as a process: ends in order, and killed at any moment it loses no acked block."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud.lake.positions import Cursor
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from contract.acks import decode_ack
from contract.topics import Lane
from deploy.local.mosquitto import BrokerAccount, Mosquitto

pytestmark = pytest.mark.broker


@pytest.fixture
def config(tmp_path: Path, broker: Mosquitto, accounts: Mapping[str, BrokerAccount]) -> Path:
    (tmp_path / "password").write_text(accounts["ingest"].password + "\n")
    path = tmp_path / "cloud.toml"
    path.write_text(
        f'[lake]\nroot = "{tmp_path}/lake"\n'
        f'[ingest]\nnode = "node-1"\nport = {broker.port}\nusername = "ingest"\n'
        f'password_file = "{tmp_path}/password"\ngather_ms = 20\nreceive_maximum = 20\n'
    )
    return path


@contextmanager
def ingest(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "cloud.cli", "--config", str(config), "ingest", "run"]
    child = subprocess.Popen(words, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_sigterm_ends_it_in_order(config: Path, gateway, make_payload) -> None:
    with ingest(config) as child:
        for lane in Lane:
            gateway.send(make_payload(1, 8), lane)
            while not gateway.acks.qsize():  # until it has subscribed, messages meet nobody
                assert child.poll() is None
                time.sleep(0.1)
                gateway.send(make_payload(1, 8), lane)
            gateway.acks.queue.clear()
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
        assert child.returncode == 0
        assert b"status: lanes_connected=" in errors
        assert b"Traceback" not in errors


def test_a_wrong_password_ends_it_with_1_and_a_sentence(config: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong\n")
    with ingest(config) as child:
        _, errors = child.communicate(timeout=20)
        assert child.returncode == 1
        assert b"dewline-cloud: the broker refuses ingest" in errors
        assert b"Traceback" not in errors


def test_killed_at_random_moments_every_acked_number_stands_in_the_lake(
    config: Path, gateway, make_payload, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    acked: set[int] = set()
    sent = 0

    def collect() -> None:
        while gateway.acks.qsize():
            for span in decode_ack(gateway.acks.get()).spans:
                acked.update(range(span.first, span.last + 1))

    for _ in range(5):
        with ingest(config) as child:
            before = len(acked)
            while len(acked) == before:
                sent += 1
                gateway.send(make_payload(sent, sent))
                time.sleep(0.005)
                collect()
            for _ in range(moments.randrange(60)):
                sent += 1
                gateway.send(make_payload(sent, sent))
            time.sleep(moments.uniform(0.0, 0.05))
            child.kill()
    collect()
    reader = LakeReader(FolderStore(tmp_path / "lake"), RawTable(tmp_path / "lake/raw"))
    landed = {b.first for f in reader.after(Cursor()) for b in f.blocks}
    assert reader.holes == set()
    assert len(acked) >= 5
    assert acked <= landed
