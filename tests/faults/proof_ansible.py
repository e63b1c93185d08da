"""Ansible on bare Debian systems: a cloud host and a gateway, from nothing to readings everywhere.

Three systems are booted by systemd-nspawn. On two of them the roles are run, run again, run in
check mode; then readings must arrive over TLS, both hosts are rebooted in turn, the ledger must
close, and lake, Elasticsearch and MySQL must hold the same, the latter by Spark. On the third,
which is gateway and a small cloud in one, ansible-playbook is killed in the middle of each play
and repeated.

Not among the tests that are collected: it takes minutes, root and a way to Debian's packages. Run
it by name, with -s to read along; DEWLINE_SEED repeats the draws.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud.composition.lake import open_lake
from cloud.config import CloudConfig, load_config
from contract.records import Kind
from deploy.local import nspawn
from deploy.local.artifacts import cache_folder, spark_jars
from deploy.local.elasticsearch_package import make_elasticsearch_package
from deploy.local.proof import count_lake
from deploy.packages.debian import make_repository
from deploy.packages.wheels import Target, make_wheelhouse

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "deploy" / "ansible"
DEBIAN = ("mosquitto", "mariadb-server", "python3-venv", "openjdk-17-jre-headless")
CLOUD_PROGRAM = "/opt/dewline/cloud/bin/dewline-cloud --config /etc/dewline/cloud.toml"
GATEWAY_PROGRAM = "/opt/dewline/gateway/bin/dewline-gateway"
PASSWORD = "only-on-this-network-1"  # of a database that lives for minutes
LIMIT_S = 120.0  # for anything that shall happen
READINGS = 120  # that must have come before a host is rebooted
DEVICE, CLOUD, BOTH = "gw-one", "cloud-one", "both"
SENSORS = [
    {"id": "air", "driver": "sht4x", "interval_s": 1, "options": {"address": 0x44}},
    {"id": "cellar", "driver": "bme280", "interval_s": 1, "options": {"address": 0x76}},
]
CONFIG = '[ca]\nfolder = "{folder}/authority"\n'
RECAP = re.compile(
    r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE
)


@dataclass(frozen=True)
class Ran:
    """What one run of a playbook said and took."""

    changed: int
    seconds: float
    output: str

    def tasks(self) -> list[str]:
        """Those that changed something, for a person who looks for the reason."""
        found, task = [], ""
        for line in self.output.splitlines():
            task = line if line.startswith("TASK [") else task
            if line.startswith("changed:"):
                found.append(f"{task.split('] ')[0]}] {line}")
        return found


class Controller:
    """Where ansible-playbook runs: certificates, archives, inventory."""

    def __init__(self, folder: Path, network: nspawn.Lan) -> None:
        self.folder = folder
        self.network = network
        self.config = folder / "ca.toml"
        self.config.write_text(CONFIG.format(folder=folder))
        (folder / "certificates").mkdir()
        sample = (ROOT / "deploy" / "sample" / "conditions.toml").read_text()
        (folder / "conditions.toml").write_text(sample + sample.replace("attic", "air"))

    def prepare(self, hosts: Mapping[str, str]) -> None:
        make_wheelhouse(ROOT, "edge", self.folder / "edge.tar", Target())
        for part in ("cloud", "spark"):
            make_wheelhouse(ROOT, part, self.folder / f"{part}.tar", Target())
        search = make_elasticsearch_package(self.folder)
        make_repository([*DEBIAN, str(search)], self.folder / "debian.tar")
        self.ca("init", "--name", "proof")
        for service in ("ingest", "rollout"):
            self.issue("service", service)
        for device in (DEVICE, BOTH):
            self.issue("device", device)
        for host in (CLOUD, BOTH):
            folder = self.folder / "certificates" / f"server-{host}"
            folder.mkdir()
            self.ca("issue", "server", host, hosts[host], "127.0.0.1", "--out", str(folder))

    def issue(self, role: str, name: str) -> None:
        self.ca("issue", role, name, "--out", str(self.folder / "certificates"))

    def ca(self, *words: str) -> None:
        command = [sys.executable, "-m", "cloud.cli", "--config", str(self.config), "ca", *words]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    def inventory(
        self,
        clouds: Mapping[str, str],
        gateways: Mapping[str, tuple[str, str]],
        **changed: str,
    ) -> Path:
        """Groups of hosts; a gateway has an address and that of its cloud."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        cloud_hosts = {host: self._cloud(host, address) for host, address in clouds.items()}
        groups: dict[str, Any] = {name: {"hosts": cloud_hosts} for name in ("broker", "warehouse")}
        groups["cloud"] = {"hosts": cloud_hosts}
        groups["search"] = {"hosts": {host: {} for host in clouds if host == CLOUD}}
        groups["gateways"] = {
            "hosts": {device: self._gateway(*where) for device, where in gateways.items()}
        }
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.network.key),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
            "dewline_packages_archive": str(self.folder / "debian.tar"),
            **changed,
        }
        path = self.folder / f"inventory-{'-'.join([*clouds, *gateways, *changed])}.json"
        path.write_text(json.dumps({"all": {"vars": variables, "children": groups}}, indent=1))
        return path

    def _cloud(self, host: str, address: str) -> dict[str, Any]:
        server = self.folder / "certificates" / f"server-{host}"
        return {
            "ansible_host": address,
            "mosquitto_authority": str(self.folder / "authority"),
            "mosquitto_certificate": str(server / f"{host}.pem"),
            "mosquitto_key": str(server / f"{host}.key"),
            "mariadb_password": PASSWORD,
            "dewline_cloud_archive": str(self.folder / "cloud.tar"),
            "dewline_cloud_authority": str(self.folder / "authority" / "ca.pem"),
            "dewline_cloud_certificates": str(self.folder / "certificates"),
            "dewline_cloud_certificate": str(server / f"{host}.pem"),
            "dewline_cloud_key": str(server / f"{host}.key"),
            "dewline_cloud_broker": {"host": "127.0.0.1"},
            "dewline_cloud_warehouse": {"host": "127.0.0.1"},
            "dewline_cloud_warehouse_password": PASSWORD,
            "dewline_cloud_conditions": str(self.folder / "conditions.toml"),
            "dewline_cloud_public_key": str(self.folder / f"models-{host}.pem"),
            **(self._whole(server / host) if host == CLOUD else {}),
        }

    def _whole(self, certificate: Path) -> dict[str, Any]:
        """What a cloud has that searches and trains; the other one does without."""
        account = {"name": "dewline", "password": PASSWORD, "roles": ["dewline"]}
        return {
            "elasticsearch_heap_mib": 512,
            "elasticsearch_security": True,
            "elasticsearch_authority": str(self.folder / "authority" / "ca.pem"),
            "elasticsearch_certificate": f"{certificate}.pem",
            "elasticsearch_key": f"{certificate}.key",
            "elasticsearch_accounts": [account],
            "dewline_cloud_search": {"url": "https://127.0.0.1:9200", "username": "dewline"},
            "dewline_cloud_search_password": PASSWORD,
            "dewline_cloud_archive": str(self.folder / "spark.tar"),
            "dewline_cloud_spark": True,
            "dewline_cloud_jars": [str(jar) for jar in spark_jars()],
        }

    def _gateway(self, address: str, cloud: str) -> dict[str, Any]:
        host = BOTH if address == cloud else CLOUD
        return {
            "ansible_host": address,
            "dewline_gateway_archive": str(self.folder / "edge.tar"),
            "dewline_gateway_authority": str(self.folder / "authority" / "ca.pem"),
            "dewline_gateway_certificates": str(self.folder / "certificates"),
            "dewline_gateway_broker": {"host": cloud},
            "dewline_gateway_board": {"kind": "simulated"},
            "dewline_gateway_commit": {"status_s": 30},
            "dewline_gateway_sensors": SENSORS,
            "dewline_gateway_conditions": str(self.folder / "conditions.toml"),
            "dewline_gateway_models": {
                "url": f"https://{cloud}:8443",
                "trusted_key": str(self.folder / f"models-{host}.pem"),
            },
            "dewline_health_url": f"https://{cloud}:8443",
            "dewline_health_ca": str(self.folder / "authority" / "ca.pem"),
        }

    def play(self, playbook: str, inventory: Path, *flags: str) -> Ran:
        """Runs it to its end, which must be a good one."""
        began_s = time.monotonic()
        done = subprocess.run(
            self._command(playbook, inventory, *flags),
            cwd=ANSIBLE,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        rows = [m.groups() for m in RECAP.finditer(done.stdout) if m[1] != "localhost"]
        assert rows, done.stdout[-2000:]
        assert all(row[3:] == ("0", "0") for row in rows), rows
        changed = sum(int(row[2]) for row in rows)
        return Ran(changed, time.monotonic() - began_s, done.stdout)

    def kill_in_the_middle(
        self, playbook: str, inventory: Path, at: Callable[[int, str], bool]
    ) -> int:
        """SIGKILL to all of it `at` a task, by number and line; how many it had begun."""
        process = subprocess.Popen(
            self._command(playbook, inventory),
            cwd=ANSIBLE,
            env=self._environment(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        begun = 0
        assert process.stdout is not None
        for line in process.stdout:
            begun += line.startswith("TASK [")
            if at(begun, line):
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL, f"it ended by itself after {begun} tasks"
        return begun

    def _command(self, playbook: str, inventory: Path, *flags: str) -> Sequence[str]:
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return [program, "-i", str(inventory), *flags, playbook]

    def _environment(self) -> dict[str, str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": programs, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dewline-ansible-") as name:
        yield Path(name)


def ledger(host: nspawn.Machine) -> Any:
    return asked(host, "ledger show --json")


def asked(host: nspawn.Machine, verb: str) -> Any:
    """What a verb of the cloud says there; None if a server that it needs is still starting."""
    command = f"{CLOUD_PROGRAM} {verb} || [ $? = 1 ]"
    said = host.call(command)
    return json.loads(said) if said else None


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s, f"{what}: not within {LIMIT_S:.0f} s"
        time.sleep(1.0)


def stored(host: nspawn.Machine) -> int:
    return int(ledger(host)["totals"]["stored"])


def queued(gateway: nspawn.Machine) -> int:
    command = f"{GATEWAY_PROGRAM} outbox --config /etc/dewline/gateway.toml --json"
    return int(json.loads(gateway.call(command))["blocks"])


def test_from_bare_systems_to_a_closed_ledger(folder: Path) -> None:
    reason = nspawn.obstacle()
    if reason is not None:
        pytest.fail(reason)
    seed = int(os.environ.get("DEWLINE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nDEWLINE_SEED={seed}")
    base = nspawn.debian_base(cache_folder())
    with ExitStack() as running:
        network = running.enter_context(nspawn.lan(folder))
        controller = Controller(folder, network)
        hosts = {
            name: running.enter_context(nspawn.machine(network, name, number, base))
            for number, name in enumerate((CLOUD, DEVICE, BOTH), 11)
        }
        addresses = {name: host.address for name, host in hosts.items()}
        controller.prepare(addresses)
        figures = _converged(controller, addresses)
        figures |= _readings_arrive(hosts[CLOUD], hosts[DEVICE])
        _killed_and_repeated(controller, addresses[BOTH], random.Random(seed))
        _killed_before_the_restart(controller, hosts[BOTH])
        _green([hosts[CLOUD], hosts[BOTH]], [hosts[DEVICE], hosts[BOTH]])
    print(
        "rendered only, in tests/deploy/ansible: roles logstash, kibana, mysql; rendered and "
        "started with it: spark (a cluster); installed from a package of the vendor's server that "
        "is not the vendor's package: elasticsearch"
    )
    print(json.dumps(figures))
    assert (figures["second_changed"], figures["check_changed"]) == (0, 0)
    assert (figures["lost"], figures["doubled"]) == (0, 0)


def _converged(controller: Controller, addresses: Mapping[str, str]) -> dict[str, float]:
    cloud = {CLOUD: addresses[CLOUD]}
    inventory = controller.inventory(cloud, {DEVICE: (addresses[DEVICE], addresses[CLOUD])})
    first = {}
    for name in ("site", "gateways"):
        controller.play(f"{name}.yml", inventory, "--check")  # of a bare host
        first[name] = controller.play(f"{name}.yml", inventory)
        print(f"{name}.yml: {first[name].changed} changed in {first[name].seconds:.0f} s")
    second = [controller.play(f"{name}.yml", inventory) for name in first]
    for ran in second:
        print("second:", ran.changed, *ran.tasks())
    checked = [controller.play(f"{name}.yml", inventory, "--check", "--diff") for name in first]
    return {
        "converge_gateway_s": round(first["gateways"].seconds, 1),
        "converge_cloud_s": round(first["site"].seconds, 1),
        "second_changed": sum(ran.changed for ran in second),
        "check_changed": sum(ran.changed for ran in checked),
    }


def _readings_arrive(cloud: nspawn.Machine, gateway: nspawn.Machine) -> dict[str, int]:
    wait_until("readings in the lake", lambda: stored(cloud) > READINGS)
    gateway.reboot()
    before = stored(cloud)
    wait_until("readings after the gateway's boot", lambda: stored(cloud) > before + READINGS)
    cloud.reboot()
    wait_until("readings after the cloud's boot", lambda: stored(cloud) > before + 2 * READINGS)
    gateway.call("systemctl stop dewline-gateway.service")
    assert queued(gateway) == 0
    wait_until("a clean ledger", lambda: not ledger(cloud)["totals"]["unexplained"])
    totals = ledger(cloud)["totals"]
    readings = count_lake(open_lake(_lake_of(cloud))).keys[DEVICE, Kind.READING]
    assert readings <= totals["stored"]
    _stores_agree(cloud, readings)
    gateway.call("systemctl start dewline-gateway.service")
    return {
        "readings_through": readings,
        "lost": totals["lost"] + totals["unexplained"],
        "doubled": totals["doubled"],
    }


def _stores_agree(cloud: nspawn.Machine, readings: int) -> None:
    wait_until(
        "documents of the lake's keys",
        lambda: (asked(cloud, "search verify --json") or {"equal": False})["equal"],
    )
    print("search verify:", found := asked(cloud, "search verify --json"))
    assert found["search"][Kind.READING] == readings
    began_s = time.monotonic()
    for unit in ("fold", "transform", "cycle"):  # what their timers start, now
        cloud.call(f"systemctl start dewline-{unit}.service")
    query = f"SELECT COUNT(*) FROM fct_reading WHERE device_id = '{DEVICE}'"
    rows = int(cloud.call(f'mariadb --batch --skip-column-names dewline -e "{query}"'))
    print(f"fold, transform and cycle by their units: {time.monotonic() - began_s:.0f} s")
    print("models:", asked(cloud, "models show --json"))
    assert rows == readings
    assert cloud.call("systemctl is-active dewline-scoring.service").strip() == "active"


def _lake_of(cloud: nspawn.Machine) -> CloudConfig:
    """The lake as it lies in the machine's own root."""
    path = cloud.root / "lake.toml"
    path.write_text(f'[lake]\nroot = "{cloud.root}/var/lib/dewline/lake"\n')
    return load_config(path)


def _killed_and_repeated(controller: Controller, address: str, rng: random.Random) -> None:
    inventory = controller.inventory({BOTH: address}, {BOTH: (address, address)})
    for playbook, most in (("site.yml", 45), ("gateways.yml", 25)):
        at = partial(_has_begun, rng.randrange(8, most))
        begun = controller.kill_in_the_middle(playbook, inventory, at)
        ran = controller.play(playbook, inventory)
        again = controller.play(playbook, inventory)
        print(f"{playbook} killed in task {begun}, then {ran.changed} changed, {again.changed}")
        assert ran.changed > 0
        assert again.changed == 0, again.tasks()


def _has_begun(tasks: int, begun: int, _line: str) -> bool:
    return begun == tasks


def _killed_before_the_restart(controller: Controller, host: nspawn.Machine) -> None:
    """What was written is no change any more for the next run, which must restart all the same."""
    address = host.address
    gateways = {BOTH: (address, address)}
    inventory = controller.inventory({BOTH: address}, gateways, dewline_cloud_node="renamed")
    after = "TASK [dewline_cloud : Is the schema"
    controller.kill_in_the_middle("site.yml", inventory, lambda _, line: line.startswith(after))
    assert 'node = "renamed"' in host.call("cat /etc/dewline/cloud.toml")
    before = host.call("systemctl show --property=MainPID dewline-ingest.service")
    ran = controller.play("site.yml", inventory)
    print("killed before the restart, then:", *ran.tasks())
    assert host.call("systemctl show --property=MainPID dewline-ingest.service") != before
    assert controller.play("site.yml", inventory).changed == 0


def _green(clouds: Sequence[nspawn.Machine], gateways: Sequence[nspawn.Machine]) -> None:
    for gateway in gateways:
        print(gateway.call(f"{GATEWAY_PROGRAM} check --config /etc/dewline/gateway.toml"))
    for cloud in clouds:
        print(cloud.call(f"{CLOUD_PROGRAM} doctor"))
    for host in (*clouds, *gateways):
        assert host.call("systemctl --failed --no-legend --plain").strip() == ""
