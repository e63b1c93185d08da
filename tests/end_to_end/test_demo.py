"""The README's first command, whole: a year of weather, and the proof that it arrived."""

import csv
import json
import subprocess
import sys

import pytest

from contract.records import Kind
from deploy.local.weather import table_path

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
    hours = 121 * 24 + 1  # September to 30 December; an hour without a value is a bad reading
    assert figures["produced"]["reading"] == values_before("2013-09-01") + 3 * 3 * hours
    assert figures["produced"]["alert"] > 300
    assert figures["produced"]["prediction"] > 12_000
    assert "lga is cut off" in done.stdout
    assert {name for name in figures["seconds"] if not name.startswith("of_which")} == {
        "servers",
        "prepare",
        "history",
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


def values_before(day):
    """The values of the source file before a day, read by another parser."""
    with table_path().open(newline="") as file:
        return sum(
            row[name] != "NA"
            for row in csv.DictReader(file)
            for name in ("temp", "humid", "pressure")
            if row["time_hour"] < day
        )


def _models_are_as_decided(figures):
    decisions = figures["decisions"]
    cycles = sorted({d["cycle"] for d in decisions})
    assert len(cycles) == 3
    assert {(d["cycle"], d["condition"]) for d in decisions} == {
        (cycle, name) for cycle in cycles for name in ("condensation", "damp", "frost")
    }
    for d in decisions:
        assert d["reason"]
        assert d["skill_low"] <= d["skill"] <= d["skill_high"]
        assert d["decision"] != "adopted" or d["skill_low"] > 0
    first = [d for d in decisions if d["cycle"] == cycles[0]]
    assert max(d["event_weeks"] for d in first) >= 8  # judged on the imported months
    assert "adopted" in {d["decision"] for d in decisions}
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
    assert agreement["changes_total"] > 1000
    assert agreement["windows_total"] > 5_000
    assert agreement["largest"] <= 1e-5  # gateway and stream, from the raw readings
    alerts = figures["alerts"]
    assert alerts["hits"] + alerts["false"] <= alerts["forecast"]
    assert alerts["forecast"] > 0
