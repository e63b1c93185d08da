"""Roles hold to what their argument specs promise, and the example inventory names nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ANSIBLE = Path(__file__).resolve().parents[3] / "deploy" / "ansible"
ROLES = sorted(p for p in (ANSIBLE / "roles").iterdir() if p.is_dir())
# Asked for by gateways.yml itself, or made by a role for its own templates.
OF_PLAYBOOKS = {"dewline_health_url", "dewline_health_ca", "dewline_health_token"}
PREFIXES = tuple(f"{role.name}_" for role in ROLES)
# What every installing role has, in the order in which it runs.
PARTS = ["preflight", "install", "configure", "service"]


def document(path):
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def options(role):
    (spec,) = document(role / "meta" / "argument_specs.yml")["argument_specs"].values()
    return spec["options"]


def environment():
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}


def short(role):
    return role.name


@pytest.mark.parametrize("role", ROLES, ids=short)
def test_options_are_defaults_and_required_ones(role):
    path = role / "defaults" / "main.yml"
    defaults = set(document(path)) if path.exists() else set()
    required = {name for name, option in options(role).items() if option.get("required")}
    assert defaults.isdisjoint(required)
    assert defaults | required == set(options(role))


@pytest.mark.parametrize("role", ROLES, ids=short)
def test_a_default_of_the_spec_is_the_role_s(role):
    path = role / "defaults" / "main.yml"
    defaults = document(path) if path.exists() else {}
    for name, option in options(role).items():
        assert option["description"]
        if name in defaults:
            assert option["default"] == defaults[name], name


@pytest.mark.parametrize("role", ROLES, ids=short)
def test_every_name_of_the_role_is_said_somewhere(role):
    """A misspelled variable in a task or template would be undefined only where it is reached."""
    path = role / "vars" / "main.yml"
    said = set(options(role)) | set(document(path) if path.exists() else {})
    texts = [p.read_text(encoding="utf-8") for p in role.rglob("*") if p.is_file()]
    for text in texts:
        said |= set(re.findall(r"register: (\w+)", text))
    for path in (role / "tasks").glob("*.yml"):
        for task in tasks_of(document(path)):
            said |= set(task.get("ansible.builtin.set_fact", {}))
    used = set()
    for text in texts:
        # names in backticks are those of other programs
        used |= set(re.findall(rf"\b{role.name}_\w+", re.sub(r"`[^`]*`", "", text)))
    assert used <= said, sorted(used - said)


@pytest.mark.parametrize("role", ROLES, ids=short)
def test_parts_run_in_their_order(role):
    if role.name == "dewline_database":  # other roles take its parts, each in its own
        assert {path.stem for path in (role / "tasks").iterdir()} == set(PARTS)
        return
    tasks = document(role / "tasks" / "main.yml")
    parts = [
        task["ansible.builtin.import_tasks"]
        for task in tasks
        if len(task) == 2 and "ansible.builtin.import_tasks" in task
    ]
    if role.name in ("dewline_packages", "dewline_release", "dewline_service"):  # parts themselves
        assert parts == []
    else:
        assert parts == [f"{part}.yml" for part in PARTS]


def test_database_roles_say_all_that_their_parts_ask_for():
    role = ANSIBLE / "roles" / "dewline_database"
    asked = set(options(role)["dewline_database_server"]["options"])
    texts = [path.read_text(encoding="utf-8") for path in role.rglob("*/*.yml")]
    used = {key for text in texts for key in re.findall(r"dewline_database_server\.(\w+)", text)}
    assert used == asked
    for name in ("mariadb", "mysql"):
        said = document(ANSIBLE / "roles" / name / "vars" / "main.yml")
        assert set(said[f"{name}_server"]) == asked, name


def test_the_inventory_names_nothing_that_no_role_knows():
    known = set().union(*(options(role) for role in ROLES)) | OF_PLAYBOOKS
    named = set()
    for path in (ANSIBLE / "inventory/example/group_vars").rglob("*.yml"):
        named |= set(document(path)) if path.name != "vault.yml" else set()
    groups = document(ANSIBLE / "inventory/example/hosts.yml")["all"]["children"]
    for group in (*groups.values(), *groups["servers"]["children"].values()):
        for host in group.get("hosts", {}).values():
            named |= set(host or {})
    ours = {name for name in named if name.startswith(PREFIXES)}
    assert ours
    assert ours <= known
    assert {n for n in named - ours if not n.startswith(("site_", "ansible_"))} <= OF_PLAYBOOKS


def test_each_host_of_the_example_gets_packages_for_its_processor():
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "--list"]
    command += ["-i", str(ANSIBLE / "inventory" / "example")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    hosts = json.loads(done.stdout)["_meta"]["hostvars"]
    archives = {name: Path(found["dewline_packages_archive"]).name for name, found in hosts.items()}
    assert archives == {
        "cloud.example.org": "debian.tar",
        "gw-attic": "debian-pi.tar",
        "gw-cellar": "debian-pi.tar",
    }


def test_what_is_required_stands_in_the_inventory():
    given = set(document(ANSIBLE / "inventory/example/group_vars/all/main.yml"))
    for name in ("mosquitto", "mariadb", "elasticsearch", "dewline_cloud", "dewline_gateway"):
        required = {n for n, o in options(ANSIBLE / "roles" / name).items() if o.get("required")}
        assert required <= given, name


@pytest.mark.parametrize("playbook", ["site.yml", "gateways.yml"])
def test_playbooks_parse(playbook):
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "--syntax-check", playbook]
    done = subprocess.run(
        command, cwd=ANSIBLE, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_secrets_are_not_shown():
    """Whoever copies a private key or writes a password says no_log."""
    for path in (ANSIBLE / "roles").rglob("tasks/*.yml"):
        for task in tasks_of(document(path)):
            text = re.sub(r"(public|trusted|signing)_key", "", yaml.safe_dump(task))
            if re.search(r"[_.]password\b|\.key\b|_key \}\}|certificate_files", text) and not {
                "ansible.builtin.stat",
                "ansible.builtin.assert",
            } & set(task):
                assert task.get("no_log") is True, f"{path}: {task['name']}"


def tasks_of(tasks):
    for task in tasks:
        if "block" in task:
            yield from tasks_of(task["block"])
        else:
            yield task
