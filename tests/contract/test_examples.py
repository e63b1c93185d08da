"""The folder of examples is the contract; this walks it. So does every foreign decoder."""

import ast
import base64
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import contract
from contract import wire
from contract.blocks import entries, kind_of, kinds_total
from contract.errors import ContractError
from contract.keys import payload_digest
from contract.quantities import Flag, Quality, Quantity
from contract.records import Kind, Statistic

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "contract" / "examples"


def load(path: Path) -> tuple[dict[str, Any], bytes]:
    example = json.loads(path.read_text(encoding="utf-8"))
    return example, base64.b64decode(example["payload_base64"], validate=True)


def as_json(value: object) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("valid/*.json")), ids=lambda p: p.stem)
def test_valid(path: Path) -> None:
    example, payload = load(path)
    block = wire.decode(payload)
    assert json.loads(wire.inflate(payload)) == example["document"]
    assert payload_digest(payload) == example["digest"]
    assert example["block"] == {
        "stream_id": block.stream_id,
        "first": block.first,
        "last": block.last,
        "clock": block.clock,
        "kinds_total": as_json(kinds_total(block)),
    }
    found = [
        {
            "seq": entry.seq,
            "offset_ms": entry.offset_ms,
            "observed_at": entry.observed_at,
            "kind": kind_of(entry.record),
            "record": as_json(dataclasses.asdict(entry.record)),
        }
        for entry in entries(block)
    ]
    assert found == example["entries"]
    assert wire.decode(wire.encode(block)) == block


@pytest.mark.parametrize("path", sorted(FOLDER.glob("invalid/*.json")), ids=lambda p: p.stem)
def test_invalid(path: Path) -> None:
    example, payload = load(path)
    with pytest.raises(ContractError) as caught:
        wire.decode(payload)
    assert caught.value.code == example["error"]
    assert str(caught.value).isascii() or str(caught.value).encode("utf-8")


def test_the_folder_is_what_its_script_writes() -> None:
    script = Path(__file__).with_name("make_examples.py")
    done = subprocess.run(
        [sys.executable, script, "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_word_of_the_contract_has_an_example() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("valid/*.json"))
    words = [*Kind, *Quantity, *Quality, *Flag, *Statistic]
    assert [word for word in words if f'"{word}"' not in texts] == []


def test_every_error_of_a_block_has_an_example() -> None:
    raised = {
        call.args[0].value
        for name in ("wire.py", "document.py", "typed.py")
        for call in ast.walk(ast.parse((Path(contract.__file__).parent / name).read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "ContractError"
        and isinstance(call.args[0], ast.Constant)
    }
    shown = {load(path)[0]["error"] for path in FOLDER.glob("invalid/*.json")}
    assert raised == shown
