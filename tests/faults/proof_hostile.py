"""Four hostile devices beside twenty honest gateways, each with a valid certificate of its own.

Phase one measures the honest gateways alone: the delay from commit to ack. Phase two adds a thief
of shared subscriptions, a flooder, a sender of blocks that cost much to decode, and a poisoner with
absurd times. The honest gateways must not notice: their p99 stays within twice of phase one, all
their readings are stored once, the ledger explains each number of theirs, broker, ingest and
projections run on and do not grow, transform and report still work, and `doctor` or the logs name
the hostile devices.

The test runner does not collect this file: it takes more than ten minutes. DEWLINE_HOSTILE_S sets
the seconds of phase two (600), DEWLINE_QUIET_S those of phase one (120).
"""

import json
import os
import statistics
import subprocess
import sys
import time

import pytest

from deploy.local.certificates import Certificates
from deploy.local.cloud_side import CloudSide, write_config
from deploy.local.fleet import CONDITIONS
from deploy.local.mosquitto import Mosquitto
from deploy.local.processes import PrivateServer
from deploy.local.servers import Stack
from tests.faults.hostile_clients import ATTACKS, HonestGateway

pytestmark = [pytest.mark.services, pytest.mark.spark]

QUIET_S = float(os.environ.get("DEWLINE_QUIET_S", "120"))
HOSTILE_S = float(os.environ.get("DEWLINE_HOSTILE_S", "600"))
HONEST = [f"gw-{n:02}" for n in range(1, 21)]
SERVICES = (("ingest", "run"), ("search", "follow"), ("ledger", "follow"), ("quarantine", "follow"))
DRAIN_S = 120.0
P99_RATIO_LIMIT = 2.0
GROWTH_LIMIT_MB = 60.0  # of a process between the first tenth of phase two and its end


class Site:
    """The servers, the cloud's processes and the certificates of all devices."""

    def __init__(self, stack_base, elasticsearch, database, folder):
        (folder / "certificates").mkdir()
        certificates = Certificates(folder / "certificates")
        self.folder = folder
        self.files = {name: certificates.device(name) for name in (*HONEST, *ATTACKS)}
        self.broker = Mosquitto.start(stack_base, [], certificates=certificates)
        stack = Stack(mosquitto=self.broker, database=database, elasticsearch=elasticsearch)
        config = write_config(folder, stack, certificates, CONDITIONS)
        prefix = f'[search]\nprefix = "hostile-{time.time_ns():x}"'
        config.write_text(config.read_text().replace("[search]", prefix))
        self.cloud = CloudSide(config, folder)
        self.cloud.call("warehouse", "migrate")
        self.cloud.call("search", "setup")
        self.running: dict[str, PrivateServer] = {"broker": self.broker}

    def start(self):
        for words in SERVICES:
            self.running[words[0]] = self.cloud.start(*words)

    def attack(self, role):
        files = self.files[role]
        command = [sys.executable, "-m", "tests.faults.hostile_clients", role, role]
        command += [str(self.broker.devices_port), str(files.ca), str(files.certificate)]
        log = (self.folder / f"{role}.log").open("wb")
        return subprocess.Popen([*command, str(files.key), str(HOSTILE_S)], stderr=log, stdout=log)

    def sizes_mb(self):
        return {name: resident_mb(server.pid) for name, server in self.running.items()}

    def stop(self):
        self.cloud.stop()
        self.broker.stop()


def resident_mb(pid):
    """Memory of a process and its children, MB; `pid` may be a supervisor."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True
    ).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family = {pid}
    while more := {p for p, parent, _ in rows if parent in family} - family:
        family |= more
    return sum(rss for p, _, rss in rows if p in family) / 1024


def p99_ms(delays_s):
    return 1000 * statistics.quantiles(delays_s, n=100)[98]


def measured(gateways, seconds, watch=lambda: None):
    """Each gateway sends a block a second; the delays of what was acked, and the oldest waiting."""
    for gateway in gateways:
        gateway.delays_s.clear()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        for n, gateway in enumerate(gateways):
            time.sleep(max(0.0, began_s + n / len(gateways) - time.monotonic()))
            gateway.resend()
            gateway.send()
        watch()
        time.sleep(max(0.0, began_s + 1.0 - time.monotonic()))
    waiting_s = [gateway.oldest_s() for gateway in gateways]
    return [d for gateway in gateways for d in gateway.delays_s] + [w for w in waiting_s if w > 1.0]


def all_acked(gateways):
    """Whether no block waits; sends those again that have waited long."""
    for gateway in gateways:
        gateway.resend()
    return not sum(gateway.unacked for gateway in gateways)


@pytest.fixture
def site(stack_base, elasticsearch, database, tmp_path):
    site = Site(stack_base, elasticsearch, database, tmp_path)
    yield site
    site.stop()


def test_honest_gateways_do_not_notice_hostile_ones(site, wait_until):
    site.start()
    port = site.broker.devices_port
    gateways = [HonestGateway(d, port, site.files[d], seed=n) for n, d in enumerate(HONEST)]
    for gateway in gateways:
        gateway.send()
    wait_until(lambda: all_acked(gateways), DRAIN_S, "the first acks")
    quiet = measured(gateways, QUIET_S)
    print(f"\nquiet: {len(quiet)} blocks, p99 {p99_ms(quiet):.0f} ms, {site.sizes_mb()}")

    attackers = {role: site.attack(role) for role in ATTACKS}
    samples = []
    due_s = time.monotonic() + HOSTILE_S / 10

    def watch():
        nonlocal due_s
        site.cloud.check_alive()
        if time.monotonic() >= due_s:
            due_s += HOSTILE_S / 10
            samples.append(site.sizes_mb())
            print(f"{len(samples)}0 %:", {k: round(v) for k, v in samples[-1].items()}, flush=True)

    hostile = measured(gateways, HOSTILE_S, watch)
    for process in attackers.values():
        process.wait(60)  # each ends by itself after HOSTILE_S
    print("flood:", (site.folder / "flooder.log").read_text().strip())
    print(f"hostile: {len(hostile)} blocks, p99 {p99_ms(hostile):.0f} ms")
    wait_until(lambda: all_acked(gateways), DRAIN_S, "the last acks")
    for gateway in gateways:
        gateway.stop()

    figures = settled(site, gateways)
    figures["honest_p99_ratio"] = round(p99_ms(hostile) / p99_ms(quiet), 2)
    growth = {name: samples[-1][name] - samples[0][name] for name in samples[0]}
    figures |= {f"{name}_mb": round(samples[-1][name]) for name in ("ingest", "broker")}
    print("growth MB:", {name: round(grown) for name, grown in growth.items()})
    print(json.dumps(figures))
    assert (figures["lost"], figures["doubled"], figures["unexplained"]) == (0, 0, 0)
    assert figures["honest_p99_ratio"] <= P99_RATIO_LIMIT
    assert max(growth.values()) < GROWTH_LIMIT_MB
    assert set(figures["named"]) >= {"flooder", "heavy", "poisoner"}


def settled(site, gateways):
    """Lets the projections finish, runs the jobs, and asks the ledger about the honest devices."""
    site.cloud.wait_projected(("ledger", "search", "quarantine"), 600)
    for words in (
        ("lake", "fold"),
        ("transform", "run"),
        ("report", "write", "--out", "report.html"),
    ):
        done = site.cloud.call(*words)
        print(*words, ":", done.strip()[-200:])
    table = json.loads(site.cloud.call("ledger", "show", "--json"))
    honest = {g.device: g.made.last for g in gateways}
    rows = [row for row in table["streams"] if row["device"] in honest]
    stored = {row["device"]: row["stored"] for row in rows}
    findings = doctor(site)
    return {
        "lost": sum(max(0, last - stored.get(device, 0)) for device, last in honest.items()),
        "doubled": sum(row["doubled"] for row in rows),
        "unexplained": sum(row["unexplained"] for row in rows),
        "named": sorted(role for role in ATTACKS if role in findings),
    }


def doctor(site):
    """What `doctor` and the processes' logs print."""
    command = [sys.executable, "-m", "cloud.cli", "--config", str(site.cloud.config_path), "doctor"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    logs = [p.read_text(errors="replace") for p in site.folder.glob("*/output.log")]
    return "\n".join([said, *logs])
