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
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from contract.records import Kind
from deploy.local import nspawn
from deploy.local.artifacts import cache_folder
from deploy.local.elasticsearch_package import make_elasticsearch_package
from deploy.local.proof import count_lake
from tests.faults.ansible_controller import (
    BOTH,
    CHECKS_THE_SCHEMA,
    CLOUD,
    DEBIAN,
    DEVICE,
    Controller,
    asked,
    check_all,
    lake_of,
    ledger,
    queued,
    stored,
    wait_until,
)

READINGS = 120  # that must have come before a host is rebooted


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dewline-ansible-") as name:
        yield Path(name)


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
        search = make_elasticsearch_package(folder)
        controller.pack(("edge", "cloud", "spark"), [*DEBIAN, "mariadb-server", str(search)])
        controller.certify({host: addresses[host] for host in (CLOUD, BOTH)}, (DEVICE, BOTH))
        figures = _converged(controller, addresses)
        figures |= _readings_arrive(hosts[CLOUD], hosts[DEVICE])
        _killed_and_repeated(controller, addresses[BOTH], random.Random(seed))
        _killed_before_the_restart(controller, hosts[BOTH])
        check_all([hosts[CLOUD], hosts[BOTH]], [hosts[DEVICE], hosts[BOTH]])
    print(
        "rendered only, in tests/deploy/ansible: roles logstash, kibana; rendered and started "
        "with it: spark (a cluster); installed from a package of the vendor's server that is not "
        "the vendor's package: elasticsearch; proven by make proof-ansible-mysql: mysql"
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
    readings = count_lake(lake_of(cloud)).keys[DEVICE, Kind.READING]
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
    controller.kill_in_the_middle(
        "site.yml", inventory, lambda _, line: line.startswith(CHECKS_THE_SCHEMA)
    )
    assert 'node = "renamed"' in host.call("cat /etc/dewline/cloud.toml")
    before = host.call("systemctl show --property=MainPID dewline-ingest.service")
    ran = controller.play("site.yml", inventory)
    print("killed before the restart, then:", *ran.tasks())
    assert host.call("systemctl show --property=MainPID dewline-ingest.service") != before
    assert controller.play("site.yml", inventory).changed == 0
