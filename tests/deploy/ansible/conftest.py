"""Runs plays, or one part of a role, on this machine in a folder of a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).resolve().parents[3] / "deploy" / "ansible"
PLAY = """\
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.include_role:
        name: {role}
        tasks_from: {tasks}
"""


def _playbook(play, inventory="localhost,", environment=None, **variables):
    given = play.with_suffix(".json")
    given.write_text(json.dumps({**variables, "ansible_python_interpreter": sys.executable}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [program, "-i", str(inventory), "-e", f"@{given}", str(play)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        cwd=play.parent,
    )


@pytest.fixture
def playbook():
    """`playbook(play, inventory, **variables)`: the process of Ansible that has run it."""
    return _playbook


def _render(role, folder, tasks="configure", **variables):
    play = folder / f"{role}.yml"
    play.write_text(PLAY.format(role=role, tasks=tasks))
    environment = {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
    environment["ANSIBLE_ROLES_PATH"] = str(ANSIBLE / "roles")
    done = _playbook(play, environment=environment, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def render():
    """Runs a part of a role with these variables; what Ansible said."""
    return _render
