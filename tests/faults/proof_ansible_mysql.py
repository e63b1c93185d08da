"""Ansible's role `mysql` on a bare Debian of the suite that has MySQL, as a cloud's warehouse.

Two systems are booted by systemd-nspawn: one of Debian's unstable suite for the database, and one
of Debian 12 that is broker, cloud with Spark, and gateway. ansible-playbook is killed at a task of
the role, and again while it makes the account, then repeated, run again, and run in check mode. The
database host is rebooted while readings flow. At the end the ledger must close, and MySQL must hold
as many readings as the lake, loaded by Spark over the network.

The test runner does not collect this file: it takes minutes and needs root and Debian's packages.
Run it by name, with -s to read along; DEWLINE_SEED repeats the draws.
"""

import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contract.records import Kind
from deploy.local import nspawn
from deploy.local.artifacts import cache_folder
from deploy.local.proof import count_lake
from deploy.packages.debian import make_repository
from tests.faults.ansible_controller import (
    BOTH,
    DATABASE,
    DEBIAN,
    MAKES_THE_ACCOUNT,
    Controller,
    check_all,
    lake_of,
    ledger,
    queued,
    stored,
    wait_until,
)

READINGS = 120  # that must arrive before a host is rebooted
ROLE_TASKS = 12  # of the role, before it makes the account


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dewline-mysql-") as name:
        yield Path(name)


def test_a_warehouse_on_mysql_from_a_bare_system_to_equal_counts(folder: Path) -> None:
    reason = nspawn.obstacle()
    if reason is not None:
        pytest.fail(reason)
    seed = int(os.environ.get("DEWLINE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nDEWLINE_SEED={seed}")
    bases = {
        BOTH: nspawn.debian_base(cache_folder()),
        DATABASE: nspawn.debian_base(cache_folder(), release=nspawn.SID),
    }
    with ExitStack() as running:
        network = running.enter_context(nspawn.lan(folder))
        controller = Controller(folder, network)
        database, cloud = (
            running.enter_context(nspawn.machine(network, name, number, bases[name]))
            for number, name in enumerate((DATABASE, BOTH), 21)
        )
        controller.pack(("edge", "spark"), DEBIAN)
        make_repository(["mysql-server"], folder / "debian-sid.tar", suite=nspawn.SID)
        controller.certify({BOTH: cloud.address}, [BOTH])
        where = (cloud.address, cloud.address)
        inventory = controller.inventory({BOTH: cloud.address}, {BOTH: where}, database.address)
        _killed_in_the_role(controller, inventory, random.Random(seed))
        figures = _converged(controller, inventory)
        figures |= _readings_arrive(cloud, database)
        check_all([cloud], [cloud])
        assert database.call("systemctl --failed --no-legend --plain").strip() == ""
    print(json.dumps(figures))
    assert (figures["second_changed"], figures["check_changed"]) == (0, 0)
    assert (figures["lost"], figures["doubled"]) == (0, 0)


def _killed_in_the_role(controller: Controller, inventory: Path, rng: random.Random) -> None:
    limited = ("--limit", DATABASE)
    controller.play("site.yml", inventory, "--check", *limited)  # of a bare host
    drawn = rng.randrange(2, ROLE_TASKS)
    begun = controller.kill_in_the_middle(
        "site.yml", inventory, lambda tasks, _line: tasks == drawn, *limited
    )
    print(f"killed in task {begun} of the role mysql")
    controller.kill_in_the_middle(
        "site.yml", inventory, lambda _tasks, line: line.startswith(MAKES_THE_ACCOUNT), *limited
    )
    print("killed while it made the account")


def _converged(controller: Controller, inventory: Path) -> dict[str, Any]:
    mysql = controller.play("site.yml", inventory, "--limit", DATABASE)
    print(f"mysql after two kills: {mysql.changed} changed in {mysql.seconds:.0f} s")
    assert mysql.changed > 0
    for name in ("site", "gateways"):
        ran = controller.play(f"{name}.yml", inventory)
        print(f"{name}.yml: {ran.changed} changed in {ran.seconds:.0f} s")
    second = [controller.play(f"{name}.yml", inventory) for name in ("site", "gateways")]
    for ran in second:
        print("second:", ran.changed, *ran.tasks())
    checked = controller.play("site.yml", inventory, "--check", "--diff")
    return {
        "converge_mysql_s": round(mysql.seconds, 1),
        "second_changed": sum(ran.changed for ran in second),
        "check_changed": checked.changed,
    }


def _readings_arrive(cloud: nspawn.Machine, database: nspawn.Machine) -> dict[str, Any]:
    wait_until("readings in the lake", lambda: stored(cloud) > READINGS)
    database.reboot()
    before = stored(cloud)
    wait_until("readings after the database's boot", lambda: stored(cloud) > before + READINGS)
    cloud.call("systemctl stop dewline-gateway.service")
    assert queued(cloud) == 0
    wait_until("a clean ledger", lambda: not ledger(cloud)["totals"]["unexplained"])
    totals = ledger(cloud)["totals"]
    readings = count_lake(lake_of(cloud)).keys[BOTH, Kind.READING]
    began_s = time.monotonic()
    for unit in ("fold", "transform"):
        cloud.call(f"systemctl start dewline-{unit}.service")
    print(f"fold and transform by their units: {time.monotonic() - began_s:.0f} s")
    rows = int(
        _asked(database, f"SELECT COUNT(*) FROM dewline.fct_reading WHERE device_id='{BOTH}'")
    )
    assert rows == readings
    cloud.call("systemctl start dewline-gateway.service")
    plugin = _asked(database, "SELECT plugin FROM mysql.user WHERE user = 'dewline'")
    assert plugin == "caching_sha2_password"
    return {
        "server": "MySQL " + _asked(database, "SELECT VERSION()"),
        "readings_through": readings,
        "lost": totals["lost"] + totals["unexplained"],
        "doubled": totals["doubled"],
    }


def _asked(database: nspawn.Machine, query: str) -> str:
    return database.call(f'mysql --batch --skip-column-names -e "{query}"').strip()
