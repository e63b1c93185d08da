"""What role dewline_gateway writes for the hosts of the example is what the gateway takes."""

import shutil
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from edge.configuration.config import parse_config
from firmware_bridge.chips import driver_names, load

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "deploy" / "ansible" / "roles" / "dewline_gateway"
INVENTORY = ROOT / "deploy" / "ansible" / "inventory" / "example"
# The role's own variables and template, without what needs a system.
TASKS = """\
- ansible.builtin.template:
    src: gateway.toml.j2
    dest: "{{ folder }}/{{ inventory_hostname }}.toml"
    mode: "0600"
    validate: "{{ dewline_gateway_accepts | replace('/opt/dewline/gateway', folder) }} %s"
- ansible.builtin.copy:
    content: "{{ dewline_gateway_buses | to_json }}"
    dest: "{{ folder }}/{{ inventory_hostname }}.buses"
    mode: "0600"
"""
CHECK = '#!/bin/sh\n[ "$1 $2" = "check --config" ] && [ -s "$3" ] || exit 9\nexit {answer}\n'
OWN = {"id": "own", "signal": "attic/temperature", "comparison": "above", "limit": 40.0}
OWN |= {"step_s": 600, "max_age_s": 1800}


def run(playbook, folder, answer=0, **variables):
    """Ansible over the example's gateways; `dewline-gateway check` ends with `answer`."""
    role = folder / "roles" / "dewline_gateway"
    for part in ("defaults", "vars", "templates"):
        shutil.copytree(ROLE / part, role / part)
    (role / "tasks").mkdir()
    (role / "tasks" / "main.yml").write_text(TASKS)
    (folder / "bin").mkdir()
    program = folder / "bin" / "dewline-gateway"
    program.write_text(CHECK.format(answer=answer))
    program.chmod(0o755)
    play = folder / "play.yml"
    play.write_text("- hosts: gateways\n  gather_facts: false\n  roles: [dewline_gateway]\n")
    given = {"ansible_connection": "local", "folder": str(folder), **variables}
    return playbook(play, INVENTORY, **given)


def configuration(folder, name):
    """As the gateway reads it, beside the fleet's file of the documentation."""
    text = (folder / f"{name}.toml").read_text()
    shutil.copy(ROOT / "deploy" / "sample" / "conditions.toml", folder / "conditions.toml")
    return parse_config(tomllib.loads(text.replace("/etc/dewline", str(folder))), name)


@pytest.mark.parametrize("answer", [0, 1])
def test_every_gateway_of_the_example_takes_its_file(playbook, tmp_path, answer):
    done = run(playbook, tmp_path, answer)
    assert done.returncode == 0, done.stdout + done.stderr
    attic, cellar = (configuration(tmp_path, name) for name in ("gw-attic", "gw-cellar"))
    assert [c.id for c in attic.condition] == ["attic-damp"]
    assert cellar.condition == ()  # the fleet's looks at sensors that it has not
    assert [s.id for s in cellar.sensor] == ["cellar"]
    assert attic.models.url == "https://cloud.example.org:8443"
    buses = {name: (tmp_path / f"{name}.buses").read_text() for name in ("gw-attic", "gw-cellar")}
    assert buses == {"gw-attic": "[1]", "gw-cellar": "[]"}


def test_a_file_that_the_gateway_refuses_is_not_put_in_place(playbook, tmp_path):
    done = run(playbook, tmp_path, 2)
    assert done.returncode != 0
    assert not (tmp_path / "gw-attic.toml").exists()


def test_drivers_on_i2c_are_those_that_take_a_bus():
    facts = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    keys = {name: {f.name: f.default for f in fields(load(name).Config)} for name in driver_names()}
    buses = {name: found["bus"] for name, found in keys.items() if "bus" in found}
    assert sorted(buses) == facts["dewline_gateway_i2c_drivers"]
    assert set(buses.values()) == {1}  # as the role supposes


def test_tables_of_one_gateway(playbook, tmp_path):
    variables = {
        "dewline_gateway_board": {"kind": "simulated"},
        "dewline_gateway_clock": {"floor": "2026-12-01T00:00:00Z"},
        "dewline_gateway_alert_output": {"id": "lamp", "pin": 17, "active_high": False},
        "dewline_gateway_own_conditions": [OWN],
        "dewline_gateway_sensors": [
            {"id": "attic", "driver": "bme280", "interval_s": 5, "options": {"bus": 3}}
        ],
    }
    done = run(playbook, tmp_path, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    config = configuration(tmp_path, "gw-attic")
    assert config.clock.floor == "2026-12-01T00:00:00Z"
    output = config.alert_output
    assert (output.id, output.pin, output.active_high) == ("lamp", 17, False)
    assert [c.id for c in config.condition] == ["own", "attic-damp"]
    assert (tmp_path / "gw-attic.buses").read_text() == "[]"  # nothing real to look for
