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
    assert figures["produced"]["prediction"] > 40_000
    assert "lga is cut off" in done.stdout
    assert {name for name in figures["seconds"] if not name.startswith("of_which")} == {
        "servers",
        "prepare",
        "flow",
        "drain",
        "project",
        "derive",
        "prove",
    }
    _models_are_as_decided(figures)
    _everybody_agrees(figures)
    assert figures["kibana"]["asked"] > 20
    assert figures["kibana"]["apart"] == 0, (folder / "panels.md").read_text()
    assert "<svg" in (folder / "report.html").read_text()


def _models_are_as_decided(figures):
    decisions = figures["decisions"]
    cycles = sorted({d["cycle"] for d in decisions})
    assert len(cycles) == 4
    assert {(d["cycle"], d["condition"]) for d in decisions} == {
        (cycle, name) for cycle in cycles for name in ("condensation", "damp", "frost")
    }
    for d in decisions:
        assert d["reason"]
        assert d["skill_low"] <= d["skill"] <= d["skill_high"]
        assert d["decision"] != "adopted" or d["skill_low"] > 0
    first = [d for d in decisions if d["cycle"] == cycles[0]]
    assert {d["decision"] for d in first} == {"insufficient_evidence"}  # a month of fresh weeks
    assert set(figures["december"]) == {"condensation", "damp", "frost"}
    for bundles in (g["bundles"] for g in figures["gateways"].values()):
        assert set(bundles) == {"condensation", "damp", "frost"}
    versions = [g["bundles"] for g in figures["gateways"].values()]
    assert len(versions) == 3
    assert versions[0] == versions[1] == versions[2]  # also on the one that was cut off


def _everybody_agrees(figures):
    agreement = figures["agreement"]
    assert agreement["changes_apart"] == 0  # label = rule, to the millisecond
    # observed alerts alone: forecast ones have no label
    assert agreement["changes_total"] > 3000
    assert agreement["windows_total"] > 10_000
    assert agreement["largest"] <= 1e-5  # gateway and stream, from the raw readings
    alerts = figures["alerts"]
    assert alerts["hits"] + alerts["false"] <= alerts["forecast"]
    assert alerts["forecast"] > 0
