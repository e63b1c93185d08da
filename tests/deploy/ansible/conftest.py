"""Runs one part of a role on this machine, in a folder of a test."""

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


def _render(role, folder, tasks="configure", **variables):
    play, given = folder / f"{role}.yml", folder / f"{role}.json"
    play.write_text(PLAY.format(role=role, tasks=tasks))
    given.write_text(json.dumps(variables))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,"]
    command += ["-e", f"@{given}", "-e", f"ansible_python_interpreter={sys.executable}", str(play)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
    environment["ANSIBLE_ROLES_PATH"] = str(ANSIBLE / "roles")
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def render():
    """Runs a part of a role with these variables; what Ansible said."""
    return _render
