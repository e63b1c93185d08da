"""The controller of the Ansible proofs: certificates, archives, inventories and playbook runs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.composition.lake import open_lake
from cloud.config import load_config
from cloud.lake.positions import Lake
from deploy.local import nspawn
from deploy.local.artifacts import spark_jars
from deploy.packages.debian import make_repository
from deploy.packages.wheels import Target, make_wheelhouse

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "deploy" / "ansible"
DEBIAN = ("mosquitto", "python3-venv", "openjdk-17-jre-headless")
CLOUD_PROGRAM = "/opt/dewline/cloud/bin/dewline-cloud --config /etc/dewline/cloud.toml"
GATEWAY_PROGRAM = "/opt/dewline/gateway/bin/dewline-gateway"
PASSWORD = "only-on-this-network-1"  # of a database that lives for minutes
TOKEN = "only-on-this-network-0123456789ab"  # of an API that lives for minutes
LIMIT_S = 120.0  # for anything that shall happen
DEVICE, CLOUD, BOTH, DATABASE = "gw-one", "cloud-one", "both", "mysql-one"
SENSORS = [
    {"id": "air", "driver": "sht4x", "interval_s": 1, "options": {"address": 0x44}},
    {"id": "cellar", "driver": "bme280", "interval_s": 1, "options": {"address": 0x76}},
]
MAKES_THE_ACCOUNT = "TASK [dewline_database : Run the SQL statements]"
CHECKS_THE_SCHEMA = (
    "TASK [dewline_cloud : Check whether the schema is current]"  # after all files are written
)
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

    def pack(self, parts: Sequence[str], debian: Sequence[str]) -> None:
        """Makes the archives of these parts, and of these packages for Debian 12."""
        for part in parts:
            make_wheelhouse(ROOT, part, self.folder / f"{part}.tar", Target())
        make_repository(debian, self.folder / "debian.tar")

    def certify(self, clouds: Mapping[str, str], devices: Sequence[str]) -> None:
        """Makes an authority, and certificates of the services, devices and clouds (by name)."""
        self.ca("init", "--name", "proof")
        for service in ("ingest", "rollout"):
            self.issue("service", service)
        for device in devices:
            self.issue("device", device)
        for host, address in clouds.items():
            folder = self.folder / "certificates" / f"server-{host}"
            folder.mkdir()
            self.ca("issue", "server", host, address, "127.0.0.1", "--out", str(folder))

    def issue(self, role: str, name: str) -> None:
        self.ca("issue", role, name, "--out", str(self.folder / "certificates"))

    def ca(self, *words: str) -> None:
        command = [sys.executable, "-m", "cloud.cli", "--config", str(self.config), "ca", *words]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    def inventory(
        self,
        clouds: Mapping[str, str],
        gateways: Mapping[str, tuple[str, str]],
        mysql: str | None = None,
        **changed: str,
    ) -> Path:
        """Writes groups of hosts; a gateway has an address and that of its cloud.

        With the address of a MySQL host, that is the warehouse of all clouds, which have Spark.
        """
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        cloud_hosts = {host: self._cloud(host, address) for host, address in clouds.items()}
        groups: dict[str, Any] = {name: {"hosts": cloud_hosts} for name in ("broker", "cloud")}
        if mysql is None:
            groups["warehouse"] = {"hosts": cloud_hosts}
        else:
            (cloud,) = cloud_hosts.values()
            groups["mysql"] = {"hosts": {DATABASE: self._mysql(mysql, cloud["ansible_host"])}}
            cloud |= self._spark() | {"dewline_cloud_warehouse": {"host": mysql}}
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

    def _mysql(self, address: str, cloud: str) -> dict[str, Any]:
        return {
            "ansible_host": address,
            "dewline_packages_archive": str(self.folder / "debian-sid.tar"),
            "mysql_password": PASSWORD,
            "mysql_bind_address": address,
            "mysql_client_host": cloud,
        }

    def _spark(self) -> dict[str, Any]:
        return {
            "dewline_cloud_archive": str(self.folder / "spark.tar"),
            "dewline_cloud_spark": True,
            "dewline_cloud_jars": [str(jar) for jar in spark_jars()],
        }

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
            "dewline_cloud_api_token": TOKEN,
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
            **self._spark(),
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
            "dewline_health_token": TOKEN,
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
        self, playbook: str, inventory: Path, at: Callable[[int, str], bool], *flags: str
    ) -> int:
        """SIGKILL to all of it `at` a task, by number and line; how many it had begun."""
        process = subprocess.Popen(
            self._command(playbook, inventory, *flags),
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


def lake_of(cloud: nspawn.Machine) -> Lake:
    """The lake as it lies in the machine's own root."""
    path = cloud.root / "lake.toml"
    path.write_text(f'[lake]\nroot = "{cloud.root}/var/lib/dewline/lake"\n')
    return open_lake(load_config(path))


def check_all(clouds: Sequence[nspawn.Machine], gateways: Sequence[nspawn.Machine]) -> None:
    """Prints what `check` and `doctor` find; each must succeed, and no unit may have failed."""
    for gateway in gateways:
        print(gateway.call(f"{GATEWAY_PROGRAM} check --config /etc/dewline/gateway.toml"))
    for cloud in clouds:
        print(cloud.call(f"{CLOUD_PROGRAM} doctor"))
    for host in (*clouds, *gateways):
        assert host.call("systemctl --failed --no-legend --plain").strip() == ""
