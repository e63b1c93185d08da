"""The demo's gateways: three processes on virtual time, and an observer beside each.

The observer counts what the gateway says was committed, after the commit returned; the proof holds
these counts against the stores. Owns the gateways' folders, configurations and processes.
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
from edge.storage.outbox import Outbox, QueueState

__all__ = ["CONDITIONS", "SITES", "Gateway", "Observer", "Site", "committed_total"]

CONDITIONS = Path(__file__).with_name("conditions.toml")
_ALL = 2**62  # more than any outbox holds

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
    """One station and the chips that stand there.

    Attributes:
        device: The gateway's id, the station's code.
        sensors: (id, driver, driver's keys as TOML) each.
    """

    device: str
    sensors: tuple[tuple[str, str, str], ...]


# EWR's one BME280 is two sensors: an hour without pressure in the recording silences only that one
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
    """Counts what a gateway's trace says was committed.

    Attributes:
        committed: Records by kind.
        blocks: Committed blocks.
        waiting_at_ms: The mark at which the gateway waits, None while it runs.
    """

    committed: Counter[Kind] = field(default_factory=Counter)
    blocks: int = 0
    waiting_at_ms: int | None = None

    def take(self, line: str) -> None:
        """Takes one line of the trace."""
        table = json.loads(line)
        if "mark" in table:
            self.waiting_at_ms = int(table["mark"])
            return
        self.blocks += 1
        for kind, total in table["kinds"].items():
            self.committed[Kind(kind)] += int(total)


class Gateway:
    """One gateway process.

    Args:
        site: What it measures.
        folder: Its own folder, made here.
        recording: What feeds its chips.
        certificate: Its files of TLS; their authority is the bundles' server's too.
        ports: Of the broker and of the bundles' server, or of proxies before them.
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
        """Where its bundles are."""
        return self._folder / "models"

    @property
    def config_path(self) -> Path:
        """The gateway's configuration."""
        return self._folder / "gateway.toml"

    def start(self, mark_ms: int) -> None:
        """Starts the process; it runs up to the first mark."""
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
        """Asks the gateway to stop in order; `wait_stopped` waits for it."""
        self._say("stop")

    def wait_stopped(self, limit_s: float) -> None:
        """Waits until the process has ended.

        Raises:
            ServerError: It did not, or it failed; the text names its log.
        """
        if self._process is None or self._reader is None:
            return
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{self.device} did not stop within {limit_s:.0f} s") from error
        self._reader.join()
        if code:
            raise ServerError(f"{self.device} ended with code {code}: see {self._folder / 'log'}")

    def kill(self) -> None:
        """Ends the process at once, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def is_waiting(self, mark_ms: int) -> bool:
        """Returns whether it waits at that mark.

        Raises:
            ServerError: It has ended instead.
        """
        if self._process is not None and self._process.poll() is not None:
            raise ServerError(f"{self.device} ended early: see {self._folder / 'log'}")
        return self.observer.waiting_at_ms == mark_ms

    def queued(self) -> QueueState:
        """What its outbox holds, asked of the file."""
        outbox = Outbox(self._folder / "outbox.db", durable=False)
        try:
            return outbox.state()
        finally:
            outbox.close()

    def queued_kinds(self) -> Counter[Kind]:
        """What its outbox holds, by kind of record, decoded from the blocks."""
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
            raise ServerError(f"{self.device} does not run")
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
    """Returns records that all observers have counted."""
    return sum(sum(g.observer.committed.values()) for g in gateways)
