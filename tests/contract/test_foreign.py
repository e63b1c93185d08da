"""A decoder in Node, written from `docs/contract.md`, reads blocks as this program does."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from contract import wire
from contract.blocks import entries, kind_of
from contract.errors import ContractError
from contract.keys import payload_digest
from contract.records import Kind
from contract.typed import plain

FOREIGN = Path(__file__).parent / "foreign"
EXAMPLES = Path(__file__).parents[2] / "contract" / "examples"
WORKED = EXAMPLES / "valid" / "worked.json"
BLOCKS = 300

HEAD = {"schema": 1, "clock": "unsynced", "stream": "ynoicv4oqjyxi", "first": 1, "at": [0]}
SENSOR = {"sensor": "attic", "series": [["temperature", "Cel", 2]], "data": [0, 1000, 1, 2]}
ALERT = {"alert_id": "0" * 16, "condition_id": "dew", "state": "raised", "basis": "observed"}
MINUS_ZERO = {**HEAD, "events": [["alert", 0, {**ALERT, "value": -0.0}]]}
# What one rule of the page refuses and no example shows.
REFUSED = {
    "bad_field": [
        {**HEAD, "sensors": [{**SENSOR, "counts": [1, 1.5]}]},
        {**HEAD, "sensors": [{**SENSOR, "counts": [1, -1]}]},
        {**HEAD, "sensors": [{**SENSOR, "marks": None}]},
        {**HEAD, "sensors": [5]},
        {**HEAD, "events": [5]},
    ],
    "bad_columns": [{**HEAD, "sensors": [{**SENSOR, "marks": [5]}]}],
    "bad_quantity": [{**HEAD, "sensors": [{**SENSOR, "series": [5]}]}],
    "bad_json": [b"\xef\xbb\xbf" + json.dumps({**HEAD, "sensors": [SENSOR]}).encode()],
}


def check(*words):
    node = shutil.which("node")
    assert node is not None, "node is not installed: `make setup` brings it"
    command = [node, str(FOREIGN / "check.mjs"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_reads_every_example():
    done = check("examples", EXAMPLES)
    assert done.returncode == 0, done.stdout + done.stderr
    for folder in ("valid", "invalid"):
        assert f"{folder} {len(list((EXAMPLES / folder).glob('*.json')))}" in done.stdout


def test_a_difference_is_seen(tmp_path):
    example = json.loads(WORKED.read_text())
    example["entries"][0]["record"]["value"] += 0.01
    refused = json.loads(next((EXAMPLES / "invalid").glob("*.json")).read_text())
    refused["error"] = "another_code"
    write_examples(tmp_path, example, [refused])
    done = check("examples", tmp_path)
    assert done.returncode == 1
    assert "2 differences" in done.stdout


def test_it_refuses_as_this_program_does(tmp_path, packed):
    refused = []
    for code, documents in REFUSED.items():
        for payload in map(packed, documents):
            with pytest.raises(ContractError) as error:
                wire.decode(payload)
            assert error.value.code == code
            refused.append({"error": code, "payload_base64": base64.b64encode(payload).decode()})
    write_examples(tmp_path, json.loads(WORKED.read_text()), refused)
    done = check("examples", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"invalid {len(refused)}" in done.stdout


@pytest.fixture(scope="module")
def export(tmp_path_factory, blocks, packed):
    """A folder in the form of `lake export`, and the lines that a decoder should find in it."""
    found = []

    @settings(
        max_examples=BLOCKS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(blocks)
    def draw(block):
        found.append(block)

    draw()
    folder = tmp_path_factory.mktemp("export")
    payloads = [*(wire.encode(block) for block in found), packed(MINUS_ZERO)]
    index = [write_payload(folder, n, payload) for n, payload in enumerate(payloads)]
    write_lines(folder / "index.ndjson", index)
    return folder, [line for payload in payloads for line in expected_of(payload)]


def test_it_reads_an_export_to_the_same_values(export, tmp_path):
    folder, expected = export
    assert {line["kind"] for line in expected} == {kind.value for kind in Kind}
    write_lines(tmp_path / "expected.ndjson", expected)
    done = check("export", folder, tmp_path / "expected.ndjson")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"payloads {len(list(folder.glob('*.bin')))}, records {len(expected)}" in done.stdout


def test_a_changed_value_of_an_export_is_seen(export, tmp_path):
    folder, expected = export
    place = next(n for n, line in enumerate(expected) if abs(line["record"].get("value", 0)) > 1)
    changed = json.loads(json.dumps(expected))
    changed[place]["record"]["value"] *= 1 + 2**-52
    assert changed[place] != expected[place]
    write_lines(tmp_path / "expected.ndjson", changed)
    done = check("export", folder, tmp_path / "expected.ndjson")
    assert done.returncode == 1
    assert f"record {place}\n" in done.stdout
    assert "1 differences" in done.stdout


def test_a_record_that_an_export_lacks_is_seen(export, tmp_path):
    folder, expected = export
    write_lines(tmp_path / "expected.ndjson", expected[:-1])
    done = check("export", folder, tmp_path / "expected.ndjson")
    assert done.returncode == 1
    assert "how many records" in done.stdout


def test_a_changed_payload_of_an_export_is_seen(export, tmp_path):
    folder, expected = export
    shutil.copytree(folder, tmp_path / "out")
    payload = tmp_path / "out" / "0.bin"
    payload.write_bytes(payload.read_bytes() + b"\0")
    write_lines(tmp_path / "expected.ndjson", expected)
    done = check("export", tmp_path / "out", tmp_path / "expected.ndjson")
    assert done.returncode == 1
    assert "0.bin: digest" in done.stdout
    assert "bad_deflate" in done.stdout


def write_examples(folder, valid, refused):
    for name, files in (("valid", [valid]), ("invalid", refused)):
        (folder / name).mkdir()
        for n, example in enumerate(files):
            (folder / name / f"{n}.json").write_text(json.dumps(example))


def write_payload(folder, n, payload):
    """One file, and its line of the index."""
    block = wire.decode(payload)
    (folder / f"{n}.bin").write_bytes(payload)
    return {
        "received_at": 1_768_460_400_000 + n,
        "topic": "dewline/v1/attic-gw/up/live",
        "device": "attic-gw",
        "stream": block.stream_id,
        "first": block.first,
        "last": block.last,
        "digest": payload_digest(payload),
        "file": f"{n}.bin",
    }


def expected_of(payload):
    block = wire.decode(payload)
    for entry in entries(block):
        yield {
            "device": "attic-gw",
            "stream": block.stream_id,
            "seq": entry.seq,
            "offset_ms": entry.offset_ms,
            "observed_at": entry.observed_at,
            "kind": kind_of(entry.record).value,
            "record": plain(entry.record),
        }


def write_lines(path, tables):
    path.write_text("".join(json.dumps(table) + "\n" for table in tables))
