"""docs/contract.md says everything that the program knows."""

import ast
import base64
import hashlib
import json
import re
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import contract
from contract import acks, records, wire
from contract.blocks import ClockState
from contract.desired import Desired, decode_desired, encode_desired
from contract.keys import alert_id, payload_digest
from contract.quantities import Flag, Quality, Quantity
from contract.records import RECORD_TYPES, Kind, Receipt, Span
from contract.topics import Lane, ack_topic, desired_topic, lane_filter, presence_topic, up_topic
from contract.typed import build
from deploy.reference import contract as reference

PAGE = Path(__file__).parents[2] / "docs" / "contract.md"
TEXT = PAGE.read_text(encoding="utf-8")
ENUMS = [e for e in vars(records).values() if isinstance(e, type) and issubclass(e, Enum)]


def section(title: str) -> str:
    """A section's text, its sub-sections included."""
    match = re.search(rf"^(#+) {re.escape(title)}\n", TEXT, re.MULTILINE)
    assert match, title
    rest = TEXT[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def error_codes() -> set[str]:
    """Every code that the room `contract` raises."""
    return {
        call.args[0].value
        for path in Path(contract.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "ContractError"
        and isinstance(call.args[0], ast.Constant)
    }


def test_the_tables_are_what_the_dataclasses_say() -> None:
    assert reference.rewritten(TEXT) == TEXT, "run python -m deploy.reference.contract"
    assert reference.main([str(PAGE), "--check"]) == 0


def test_the_page_has_every_table() -> None:
    assert set(re.findall(r"<!-- table: (.*) -->", TEXT)) == set(reference.tables())


def test_a_stale_table_is_seen_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("| `probability` |", "| `chance` |"), encoding="utf-8")
    assert reference.main([str(page), "--check"]) == 1
    assert reference.main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("kind", list(Kind))
def test_every_field_of_every_kind_has_its_row(kind: Kind) -> None:
    for field in fields(RECORD_TYPES[kind]):
        assert f"| `{field.name}` |" in section(kind.value)


def test_every_field_of_the_smaller_tables_has_its_row() -> None:
    for title, cls in (("span", Span), ("receipt", Receipt), ("Ack", acks.Ack)):
        for field in fields(cls):
            assert f"| `{field.name}` |" in section(title)


def test_every_field_of_the_document_has_its_row() -> None:
    folder = Path(contract.__file__).parent / "schemas"
    schema = json.loads((folder / "block.schema.json").read_text(encoding="utf-8"))
    for name in schema["properties"]:
        assert f"| `{name}` |" in section("Document")
    for name in schema["$defs"]["sensor"]["properties"]:
        assert f"| `{name}` |" in section("Readings")


@pytest.mark.parametrize("words", [Quality, Flag], ids=lambda e: e.__name__)
def test_every_quality_and_flag_is_explained(words: type[Enum]) -> None:
    for word in words:
        assert f"| `{word.value}` |" in section("Quality")


@pytest.mark.parametrize("words", [*ENUMS, ClockState, Lane], ids=lambda e: e.__name__)
def test_every_word_is_on_the_page(words: type[Enum]) -> None:
    for word in words:
        assert f"`{word.value}`" in TEXT or f'`"{word.value}"`' in TEXT


def test_every_quantity_has_its_row() -> None:
    for quantity in Quantity:
        assert f"| `{quantity}` | `{quantity.facts.unit}` |" in section("Quantities")


def test_every_error_code_has_its_row_and_no_other() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", section("Errors"), re.MULTILINE)) == error_codes()


def test_topics_are_spelled_as_the_program_does() -> None:
    device, lane = "{device}", "{lane}"
    for topic in (ack_topic(device), desired_topic(device), presence_topic(device)):
        assert f"| `{topic}` |" in section("Topics")
    assert up_topic(device, Lane.LIVE).replace("live", lane) in section("Topics")
    assert lane_filter(Lane.LIVE, "{group}").replace("live", lane) in section("Topics")


def test_the_worked_example_is_true() -> None:
    text = section("A worked example")
    payload = bytes.fromhex("".join(re.search(r"```text\n(.*?)```", text, re.DOTALL)[1].split()))  # type: ignore[index]
    document = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    assert json.loads(wire.inflate(payload)) == document
    example = json.loads(
        (Path(contract.__file__).parent / "examples" / "valid" / "worked.json").read_text()
    )
    assert base64.b64decode(example["payload_base64"]) == payload


def test_the_shortest_decoder_reads_the_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    source = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]  # type: ignore[index]
    monkeypatch.chdir(PAGE.parents[1])
    page: dict[str, Any] = {}
    exec(source, page)
    worked = PAGE.parents[1] / "contract" / "examples" / "valid" / "worked.json"
    example = json.loads(worked.read_text())
    payload = base64.b64decode(example["payload_base64"])
    assert page["document"](payload) == example["document"]


def test_the_ids_and_digests_on_the_page_are_true() -> None:
    assert alert_id("attic-dew", "ynoicv4oqjyxi", 7_205_000) in section("Identity")
    content = wire.dictionary(1)
    assert f"| {len(content)} | `{hashlib.sha256(content).hexdigest()}` |" in section("Payload")
    ack = acks.decode_ack(re.search(r"```json\n(.*?)```", section("Ack"), re.DOTALL)[1].encode())  # type: ignore[index]
    assert ack.digests == (payload_digest(b"abc"),)


def test_the_desired_state_on_the_page_is_one() -> None:
    text = re.search(r"```json\n(.*?)```", section("Desired state"), re.DOTALL)[1]  # type: ignore[index]
    state = build(Desired, json.loads(text), "page")
    sent = encode_desired(state, lambda _: ("0" * 16, bytes(64)))
    assert decode_desired(sent, lambda *_: None) == state
    for name in json.loads(sent):
        assert f"| `{name}` |" in section("Desired state").partition("<!--")[0]


def test_every_outcome_of_a_model_has_its_row_and_no_other() -> None:
    source = Path(contract.__file__).parents[1] / "edge" / "bundles" / "models_in_use.py"
    told = {
        call.args[2].value
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", "") == "_report"
        and isinstance(call.args[2], ast.Constant)
    }
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", section("model_report"), re.MULTILINE)
    assert set(rows) == told


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        assert (PAGE.parent / path).exists(), target
        assert path or anchor in anchors, target  # other pages' anchors: tests/docs/test_docs.py
