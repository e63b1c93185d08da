"""One device floods a lane of a real ingest process; an honest one hardly waits."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud.ingest.budget import DeviceLimits
from cloud.ingest.refusals import refused_devices
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.store import FolderStore
from contract.acks import decode_ack
from contract.topics import Lane

pytestmark = pytest.mark.broker

RATE = 10_000  # a second, as in `make proof-hostile`
WARM_S, HONEST_S, BEAT_S = 2.0, 6.0, 0.1


def rss_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    raise AssertionError(f"process {pid} has ended")


@pytest.fixture
def config(tmp_path: Path, broker, accounts) -> Path:
    (tmp_path / "password").write_text(accounts["ingest"].password + "\n")
    path = tmp_path / "cloud.toml"
    path.write_text(
        f'[lake]\nroot = "{tmp_path}/lake"\n'
        f'[ingest]\nnode = "node-1"\nport = {broker.port}\nusername = "ingest"\n'
        f'password_file = "{tmp_path}/password"\n'
    )
    return path


@pytest.fixture
def ingest(config: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "cloud.cli", "--config", str(config), "ingest", "run"]
    with (tmp_path / "ingest.log").open("wb") as log:
        child = subprocess.Popen(words, stderr=log)
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def flood(broker, accounts) -> Callable[..., object]:
    @contextmanager
    def run(device: str, qos: int, rate: int, size: int) -> Iterator[None]:
        words = [sys.executable, "-m", "tests.cloud.ingest.flooder", str(broker.port), device]
        words += [str(qos), str(rate), str(size)]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(accounts[device].password + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "floods\n"
        try:
            yield
        finally:
            sent, _ = child.communicate("\n", timeout=30)
            print(f"the flood sent {sent.strip()} messages")

    return run


def send_until_acked(gateway, payload: bytes, limit_s: float = 30.0) -> None:
    """Sends a block again and again until ingest has subscribed and acks it."""
    deadline = time.monotonic() + limit_s
    while gateway.acks.empty():
        assert time.monotonic() < deadline
        gateway.send(payload)
        time.sleep(0.2)


def delays_s(gateway, make_payload) -> tuple[list[float], int]:
    """Seconds until the ack of each block that an honest device sends, and how many it sent."""
    sent: dict[int, float] = {}
    waited: dict[int, float] = {}

    def collect() -> None:
        while gateway.acks.qsize():
            for span in decode_ack(gateway.acks.get()).spans:
                for n in range(span.first, span.last + 1):
                    if n in sent:
                        waited.setdefault(n, time.monotonic() - sent[n])

    began_s, number = time.monotonic(), 100
    while time.monotonic() < began_s + HONEST_S:
        number += 1
        sent[number] = time.monotonic()
        gateway.send(make_payload(number, number))
        until_s = sent[number] + BEAT_S
        while time.monotonic() < until_s:
            collect()
            time.sleep(0.005)
    deadline = time.monotonic() + 30
    while len(waited) < len(sent) and time.monotonic() < deadline:
        collect()
        time.sleep(0.01)
    return sorted(waited.values()), len(sent)


def test_an_honest_device_hardly_waits_beside_a_flood(
    ingest, gateway, flood, make_payload, broker, tmp_path
) -> None:
    send_until_acked(gateway, make_payload(1, 1))
    calm, _ = delays_s(gateway, make_payload)
    with flood("jfk", qos=1, rate=RATE, size=20):
        time.sleep(WARM_S)
        beside, sent = delays_s(gateway, make_payload)
        store = FolderStore(tmp_path / "lake")
        assert refused_devices(store, time.time_ns() // 1_000_000) == ("jfk",)
        print(
            f"delay calm: median {statistics.median(calm):.2f} s, worst {calm[-1]:.2f} s; beside "
            f"the flood: {len(beside)} of {sent} acked, median {statistics.median(beside):.2f} s, "
            f"p90 {beside[len(beside) * 9 // 10]:.2f} s, worst {beside[-1]:.2f} s; "
            f"ingest {rss_mb(ingest.pid)} MB, broker {rss_mb(broker.pid)} MB"
        )
    assert len(beside) == sent
    assert statistics.median(beside) < 3.0
    assert beside[len(beside) * 9 // 10] < 6.0
    stored = [
        block
        for numbered in landed_paths(store).values()
        for path in numbered.values()
        for block in read_file(store, path).blocks
        if block.device_id == "jfk"
    ]
    assert len(stored) < 500  # unreadable blocks of a burst, and then 2 a second
    log = (tmp_path / "ingest.log").read_text()
    assert "device jfk sends more than its budget" in log
    assert "device ewr" not in log


def test_a_flood_of_qos_0_into_a_full_lake_is_bounded(
    ingest, gateway, flood, make_payload, broker, tmp_path
) -> None:
    """QoS 0 has no window; the messages waited in memory without a limit."""
    send_until_acked(gateway, make_payload(1, 1))
    landing = tmp_path / "lake" / "landing"
    landing.rename(tmp_path / "lake" / "landing.away")
    landing.write_bytes(b"")  # a file in the folder's place: no block can be stored
    gateway.send(make_payload(2, 2))
    before = (rss_mb(ingest.pid), rss_mb(broker.pid))
    with flood("jfk", qos=0, rate=1000, size=60_000):
        time.sleep(8.0)
        during = (rss_mb(ingest.pid), rss_mb(broker.pid))
    print(f"MB of ingest and broker: before {before}, during {during}")
    assert during[0] < before[0] + 100
    assert during[1] < before[1] + 150
    landing.unlink()
    gateway.acks.queue.clear()
    send_until_acked(gateway, make_payload(3, 3))
    assert ingest.poll() is None


@pytest.mark.parametrize("lane", list(Lane))
def test_each_lane_is_bounded_by_itself(run_lane, gateway, make_payload, root, lane) -> None:
    limits = DeviceLimits(messages_per_s=10, burst_s=1)
    with run_lane(FolderStore(root), lane=lane, device_limits=limits) as running:
        for n in range(1, 101):
            gateway.send(make_payload(n, n), lane)
        deadline = time.monotonic() + 10
        while running.counters.blocks_total + len(running.refused) < 100:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert set(running.refused) == {"ewr"}
        assert 10 <= running.counters.blocks_total <= 30
        assert running.counters.bad_topics_total == 0
