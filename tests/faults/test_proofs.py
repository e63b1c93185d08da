"""The proofs run on request only; this test finds one whose imports no longer fit the code."""

import importlib.util
from pathlib import Path

import pytest

from tests.faults.ansible_controller import ANSIBLE, CHECKS_THE_SCHEMA, MAKES_THE_ACCOUNT

FOLDER = Path(__file__).parent
PROOFS = sorted(path.name for path in FOLDER.glob("proof_*.py"))


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_can_be_imported(name):
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), FOLDER / name)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize("line", [CHECKS_THE_SCHEMA, MAKES_THE_ACCOUNT])
def test_a_task_at_which_a_proof_kills_is_in_its_role(line):
    role, name = line.removeprefix("TASK [").rstrip("]").split(" : ")
    texts = [path.read_text() for path in (ANSIBLE / "roles" / role / "tasks").glob("*.yml")]
    assert any(f"- name: {name}\n" in text for text in texts), line


def test_every_proof_has_a_target():
    makefile = (FOLDER.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert PROOFS
    assert [name for name in PROOFS if f"tests/faults/{name}" not in makefile] == []
