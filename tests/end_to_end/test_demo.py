"""The README's first command, whole: a year of weather, and the proof that it arrived."""

import json
import subprocess
import sys

import pytest

from contract.records import Kind

pytestmark = [pytest.mark.broker, pytest.mark.services, pytest.mark.spark]


def test_the_demo_closes_its_proof(tmp_path):
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.demo", "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    figures = json.loads((folder / "summary.json").read_text())
    assert figures == json.loads(done.stdout.splitlines()[-1])
    assert (figures["lost"], figures["doubled"], figures["unexplained"]) == (0, 0, 0)
    assert figures["produced"] == figures["lake"] == figures["search"] == figures["warehouse"]
    assert set(figures["produced"]) == set(Kind)
    assert figures["produced"]["reading"] == 3 * 3 * 8731  # hours from the first row to the last
    assert figures["produced"]["alert"] > 1000
    assert "lga is cut off" in done.stdout
    assert set(figures["seconds"]) == {
        "servers",
        "prepare",
        "flow",
        "drain",
        "project",
        "derive",
        "prove",
    }
