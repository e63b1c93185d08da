"""A decoder in Node, written from `docs/contract.md`, reads every example as this program does."""

import json
import shutil
import subprocess
from pathlib import Path

FOREIGN = Path(__file__).parent / "foreign"
EXAMPLES = Path(__file__).parents[2] / "contract" / "examples"


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
    for folder in ("valid", "invalid"):
        (tmp_path / folder).mkdir()
    example = json.loads((EXAMPLES / "valid" / "worked.json").read_text())
    example["entries"][0]["record"]["value"] += 0.01
    (tmp_path / "valid" / "worked.json").write_text(json.dumps(example))
    refused = json.loads(next((EXAMPLES / "invalid").glob("*.json")).read_text())
    refused["error"] = "another_code"
    (tmp_path / "invalid" / "x.json").write_text(json.dumps(refused))
    done = check("examples", tmp_path)
    assert done.returncode == 1
    assert "2 differences" in done.stdout
