"""Runs the demo's gateways: three processes on virtual time, each with an observer.

The observer counts the records that the gateway reports after each commit. The proof compares these
counts with the stores. This module also makes the gateways' folders and configurations.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contract.blocks import kinds_total
from contract.records import Kind
from contract.wire import decode
from deploy.local.certificates import CertificateFiles
from deploy.local.errors import ServerError
from edge.storage.outbox import Outbox
from edge.storage.queued import QueueState

__all__ = ["CONDITIONS", "SITES", "Gateway", "Observer", "Site", "committed_total"]

CONDITIONS = Path(__file__).with_name("conditions.toml")
_ALL = 2**62  # larger than any outbox

_TEMPLATE = """\
device_id = "{device}"
conditions_file = "{conditions}"

[board]
kind = "simulated"
recording = "{recording}"
recording_max_age_s = 3590.0

[clock]
floor = "{floor}"

[outbox]
path = "{folder}/outbox.db"

[commit]
rhythm_s = 86400.0
records = 80
status_s = 86400.0

[uplink]
host = "127.0.0.1"
port = {port}
ca_file = "{ca}"
certificate_file = "{certificate}"
key_file = "{key}"
ack_timeout_s = 5.0
retry_max_s = 5.0
stable_s = 5.0
drain_s = 30.0

[models]
url = "https://127.0.0.1:{api_port}"
ca_file = "{ca}"
folder = "{folder}/models"
trusted_keys = ["{trusted}"]
fetch_timeout_s = 30.0
verify_timeout_s = 120.0
retry_max_s = 2.0

[alert_output]
pin = 17
{sensors}"""

_SENSOR = """
[[sensor]]
id = "{id}"
driver = "{driver}"
interval_s = 3600.0
[sensor.options]
{options}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Describes one weather station and its chips.

    Attributes:
        device: Id of the gateway, the station's code.
        sensors: For each sensor (id, driver, driver's keys as TOML).
    """

    device: str
    sensors: tuple[tuple[str, str, str], ...]


# EWR's BME280 is declared as two sensors, so that an hour without recorded pressure affects only
# one.
_PRESSURE = ("barometer", "bme280", 'quantities = ["pressure"]')
SITES = (
    Site(
        "ewr",
        (("air", "bme280", 'quantities = ["temperature", "humidity"]'), _PRESSURE),
    ),
    Site("jfk", (("air", "sht4x", "address = 0x44"), _PRESSURE)),
    Site("lga", (("air", "dht22", "pin = 4"), _PRESSURE)),
)


@dataclass(slots=True)
class Observer:
    """Counts the committed records in a gateway's trace.

    Attributes:
        committed: Committed records by kind.
        blocks: Number of committed blocks.
        waiting_at_ms: Mark at which the gateway waits; None while it runs.
    """

    committed: Counter[Kind] = field(default_factory=Counter)
    blocks: int = 0
    waiting_at_ms: int | None = None

    def take(self, line: str) -> None:
        """Evaluates one line of the trace."""
        table = json.loads(line)
        if "mark" in table:
            self.waiting_at_ms = int(table["mark"])
            return
        self.blocks += 1
        for kind, total in table["kinds"].items():
            self.committed[Kind(kind)] += int(total)


class Gateway:
    """Runs one gateway process.

    Args:
        site: The station.
        folder: Folder of the gateway; it is made here.
        recording: Recording that the simulated chips replay.
        certificate: Files for TLS; the same authority also issued the API's certificate.
        ports: Ports of the broker and of the API, or of proxies before them.
        start_ms: Begin of virtual time, ms since 1970.
    """

    def __init__(
        self,
        site: Site,
        folder: Path,
        recording: Path,
        certificate: CertificateFiles,
        ports: tuple[int, int],
        start_ms: int,
    ) -> None:
        self.device = site.device
        self.observer = Observer()
        self._folder = folder
        self._start_ms = start_ms
        folder.mkdir(parents=True)
        text = _configuration(site, folder, recording, certificate, ports, start_ms)
        (folder / "gateway.toml").write_text(text, encoding="utf-8")
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def models_folder(self) -> Path:
        """Folder of the gateway's bundles."""
        return self._folder / "models"

    @property
    def config_path(self) -> Path:
        """File of the gateway's configuration."""
        return self._folder / "gateway.toml"

    def start(self, mark_ms: int) -> None:
        """Starts the process, which runs up to the first mark."""
        command = [sys.executable, "-m", "deploy.local.virtual_gateway"]
        command += ["--config", str(self.config_path)]
        command += ["--start-ms", str(self._start_ms), "--mark-ms", str(mark_ms)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._observe, daemon=True)
        self._reader.start()

    def move_on(self, mark_ms: int) -> None:
        """Lets the waiting gateway run up to the next mark."""
        self.observer.waiting_at_ms = None
        self._say(str(mark_ms))

    def stop(self) -> None:
        """Asks the gateway to stop cleanly; `wait_stopped` waits for its end."""
        self._say("stop")

    def wait_stopped(self, limit_s: float) -> None:
        """Waits until the process has ended.

        Raises:
            ServerError: The process did not stop in time, or failed; the text names its log.
        """
        if self._process is None or self._reader is None:
            return
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise ServerError(
                f"gateway {self.device} did not stop within {limit_s:.0f} s"
            ) from error
        self._reader.join()
        if code:
            raise ServerError(
                f"gateway {self.device} exited with code {code}; see {self._folder / 'log'}"
            )

    def kill(self) -> None:
        """Kills the process if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def is_waiting(self, mark_ms: int) -> bool:
        """Returns whether the gateway waits at that mark.

        Raises:
            ServerError: The gateway's process has ended.
        """
        if self._process is not None and self._process.poll() is not None:
            raise ServerError(
                f"gateway {self.device} ended unexpectedly; see {self._folder / 'log'}"
            )
        return self.observer.waiting_at_ms == mark_ms

    def queued(self) -> QueueState:
        """Returns the state of the gateway's outbox, read from its file."""
        outbox = Outbox(self._folder / "outbox.db", durable=False)
        try:
            return outbox.state()
        finally:
            outbox.close()

    def queued_kinds(self) -> Counter[Kind]:
        """Returns the records in the gateway's outbox by kind, decoded from the blocks."""
        outbox = Outbox(self._folder / "outbox.db", durable=False)
        kinds: Counter[Kind] = Counter()
        try:
            for queued in (*outbox.alerts(0, _ALL), *outbox.ordinary(0, _ALL, _ALL)):
                kinds.update(kinds_total(decode(queued.payload)))
        finally:
            outbox.close()
        return kinds

    def _say(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise ServerError(f"gateway {self.device} is not running")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _observe(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        for line in self._process.stdout:
            self.observer.take(line)


def _configuration(
    site: Site,
    folder: Path,
    recording: Path,
    certificate: CertificateFiles,
    ports: tuple[int, int],
    start_ms: int,
) -> str:
    return _TEMPLATE.format(
        device=site.device,
        recording=recording,
        folder=folder,
        floor=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start_ms // 1000)),
        ca=certificate.ca,
        certificate=certificate.certificate,
        key=certificate.key,
        port=ports[0],
        api_port=ports[1],
        trusted=folder.parent / "trusted.pem",
        sensors="".join(_SENSOR.format(id=i, driver=d, options=o) for i, d, o in site.sensors),
        conditions=CONDITIONS,
    )


def committed_total(gateways: Sequence[Gateway]) -> int:
    """Returns the number of records that all observers have counted."""
    return sum(sum(g.observer.committed.values()) for g in gateways)
