"""`contract` stays installable anywhere: it imports the standard library and itself."""

import ast
import sys
from pathlib import Path

import pytest

import contract

FOLDER = Path(contract.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))


def imported(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_only_the_standard_library_and_itself(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"contract"}
    assert imported(path.read_text(encoding="utf-8")) - allowed == set()


def test_the_test_sees_every_way_to_import() -> None:
    source = (
        "import os, numpy as np\ndef f():\n    from paho.mqtt import client\n    from . import x"
    )
    assert imported(source) == {"os", "numpy", "paho", "."}
    assert "wire" in {path.stem for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_what_a_module_offers_is_there(path: Path) -> None:
    if path.stem != "__init__":
        module = __import__(f"contract.{path.stem}", fromlist=["__all__"])
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_it_opens_no_socket() -> None:
    """What crosses a boundary is here; how it gets across is in `transport`."""
    used = set().union(*(imported(path.read_text(encoding="utf-8")) for path in MODULES))
    assert used & {"http", "select", "socket", "ssl", "urllib"} == set()
