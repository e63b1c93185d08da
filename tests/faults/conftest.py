"""One small site on real servers: a gateway, ingest, projections, and an observer beside them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud.composition.lake import open_lake
from cloud.lake.positions import Cursor
from contract.wire import decode
from deploy.local.certificates import CertificateFiles, Certificates
from deploy.local.cloud_side import CloudSide, write_config
from deploy.local.database_choice import preferred
from deploy.local.database_server import DatabaseServer
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.fleet import CONDITIONS
from deploy.local.mosquitto import Mosquitto
from deploy.local.servers import Stack

GATEWAY = """\
device_id = "{device}"
[board]
kind = "simulated"
[clock]
floor = "2020-01-01T00:00:00Z"
[outbox]
path = "{folder}/outbox.db"
[commit]
rhythm_s = 0.25
records = 500
status_s = 1.0
[uplink]
host = "127.0.0.1"
port = {port}
ca_file = "{files.ca}"
certificate_file = "{files.certificate}"
key_file = "{files.key}"
ack_timeout_s = 2.0
retry_max_s = 1.0
stable_s = 1.0
drain_s = 20.0
held_s = 2.0
[[sensor]]
id = "attic"
driver = "sht4x"
interval_s = 0.05
[[sensor]]
id = "plant-room"
driver = "bme280"
interval_s = 0.05
[[condition]]
id = "warm"
signal = "attic/temperature"
comparison = "above"
limit = -40.0
step_s = 1
max_age_s = 2
"""

RHYTHM_S = 0.25
READINGS_PER_S = (2 + 3) / 0.05


@dataclass
class Committed:
    """What the trace of every run of one outbox said, and when each run was killed."""

    spans: list[tuple[str, int, int]] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    killed: dict[str, float] = field(default_factory=dict)  # stream to UNIX seconds

    def take(self, line: str) -> None:
        table = json.loads(line)
        self.spans.append((table["stream"], table["first"], table["last"]))
        for kind, total in table["kinds"].items():
            self.kinds[kind] = self.kinds.get(kind, 0) + total

    @property
    def records(self) -> int:
        return sum(last - first + 1 for _, first, last in self.spans)


class LiveGateway:
    """`dewline-gateway run` on real time, observed through its trace pipe."""

    def __init__(self, device: str, folder: Path, port: int, files: CertificateFiles) -> None:
        self.device = device
        self.folder = folder
        self.committed = Committed()
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "gateway.toml"
        self.config.write_text(GATEWAY.format(device=device, folder=folder, port=port, files=files))
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        read_end, write_end = os.pipe()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "edge.cli",
                    "run",
                    "--config",
                    str(self.config),
                    "--trace-fd",
                    str(write_end),
                ],
                pass_fds=[write_end],
                stdout=log,
                stderr=log,
            )
        os.close(write_end)
        self._reader = threading.Thread(target=self._observe, args=(read_end,))
        self._reader.start()

    def _observe(self, read_end: int) -> None:
        with os.fdopen(read_end) as lines:
            for line in lines:
                if line.endswith("\n"):
                    self.committed.take(line)

    def kill(self) -> None:
        """kill -9, noting when and in which stream."""
        assert self._process is not None
        assert self._reader is not None
        self._process.kill()
        at_s = time.time()
        self._process.wait()
        self._reader.join()
        if self.committed.spans:
            self.committed.killed.setdefault(self.committed.spans[-1][0], at_s)

    def stop(self) -> None:
        """An orderly stop: commits, drains, ends."""
        assert self._process is not None
        assert self._reader is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        self._reader.join()
        assert code == 0, (self.folder / "log").read_text()[-2000:]

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


@dataclass
class SmallSite:
    """Everything of one test."""

    folder: Path
    stack: Stack
    cloud: CloudSide
    certificates: dict[str, CertificateFiles]

    def gateway(self, device: str, name: str | None = None, port: int | None = None) -> LiveGateway:
        folder = self.folder / (name or device)
        broker = self.stack.mosquitto.devices_port if port is None else port
        return LiveGateway(device, folder, broker, self.certificates[device])

    def lake_keys(self) -> dict[tuple[str, str], set[int]]:
        """Numbers in the lake per (device, stream); readable blocks only."""
        keys: dict[tuple[str, str], set[int]] = {}
        for file in open_lake(self.cloud.config).after(Cursor()):
            for landed in file.blocks:
                if landed.stream_id is not None:
                    block = decode(landed.payload)
                    numbers = range(block.first, block.last + 1)
                    keys.setdefault((landed.device_id, block.stream_id), set()).update(numbers)
        return keys

    def ledger(self) -> dict[str, object]:
        """The ledger's own account, as its command tells it."""
        table: dict[str, object] = json.loads(self.cloud.call("ledger", "show", "--json"))
        return table

    def search_equals_lake(self) -> bool:
        """Whether every stream of the lake is searchable, each record once."""
        return bool(json.loads(self.cloud.call("search", "verify", "--json"))["equal"])


def wait_until(true: Callable[[], bool], limit_s: float, what: str) -> None:
    """Waits for a condition; fails with its name at the limit."""
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {limit_s:.0f} s: {what}"
        time.sleep(0.05)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[[Callable[[], bool], float, str], None]:
    return wait_until


@pytest.fixture
def small_site(
    stack_base: Path, elasticsearch: Elasticsearch, database_apart: DatabaseServer, tmp_path: Path
) -> Iterator[SmallSite]:
    """A site with a broker and a database of its own; Elasticsearch is shared, by prefix."""
    (tmp_path / "certificates").mkdir()
    certificates = Certificates(tmp_path / "certificates")
    devices = {name: certificates.device(name) for name in ("gw-1", "gw-2", "gw-3")}
    mosquitto = Mosquitto.start(stack_base, [], certificates=certificates)
    stack = Stack(mosquitto=mosquitto, database=database_apart, elasticsearch=elasticsearch)
    config = write_config(tmp_path, stack, certificates, CONDITIONS)
    prefix = f"site-{time.time_ns():x}"
    config.write_text(config.read_text().replace("[search]", f'[search]\nprefix = "{prefix}"'))
    cloud = CloudSide(config, tmp_path)
    cloud.call("warehouse", "migrate")
    cloud.call("search", "setup")
    try:
        yield SmallSite(tmp_path, stack, cloud, devices)
    finally:
        cloud.stop()
        mosquitto.stop()


@pytest.fixture
def database_apart(stack_base: Path) -> Iterator[DatabaseServer]:
    """A database server of the test's own: streams of other tests would count as forks."""
    server = preferred().start(stack_base)
    yield server
    server.stop()
