"""The proofs run on request only; this test finds one whose imports no longer fit the code."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PROOFS = sorted(path.name for path in FOLDER.glob("proof_*.py"))


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_can_be_imported(name):
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), FOLDER / name)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_every_proof_has_a_target():
    makefile = (FOLDER.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert PROOFS
    assert [name for name in PROOFS if f"tests/faults/{name}" not in makefile] == []
