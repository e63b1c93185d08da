"""What the pages say of health and of units is what there is."""

import json
import re
from dataclasses import fields
from pathlib import Path

from cloud.api.gateways import MAX_DEVICES, _document
from cloud.health.finding import State
from cloud.health.verdict import Asked, GatewayFacts, ModelState, StatusFigures, Verdict, judge

ROOT = Path(__file__).parents[2]
CLOUD = (ROOT / "docs" / "cloud.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
HEALTH = CLOUD.partition("\n## Health\n")[2].partition("\n## ")[0]
UNITS = OPERATIONS.partition("\n## Units\n")[2].partition("\n## ")[0]


def test_every_state_and_verdict_is_there():
    for word in (*State, *Verdict):
        assert f"`{word}`" in HEALTH


def test_the_example_is_an_answer():
    shown = json.loads(re.search(r"```json\n(.*?)```", HEALTH, re.DOTALL)[1])
    asked = Asked(now=1, silent_s=1.0, ledger_from=0)
    made = _document([judge(GatewayFacts(device_id="gw-1"), asked)], asked)
    assert shown.keys() == made.keys()
    assert shown["devices"][0].keys() == made["devices"][0].keys()


def test_every_field_of_status_and_models_is_named():
    for cls in (StatusFigures, ModelState):
        for field in fields(cls):
            assert f"`{field.name}`" in HEALTH, field.name


def test_the_limit_on_names_is_the_programs():
    assert f"At most {MAX_DEVICES} names" in HEALTH


def test_every_unit_is_in_the_table():
    """A service that a timer starts is named by its timer."""
    there = {path.name for path in (ROOT / "deploy" / "systemd").glob("*.timer")}
    there |= {
        path.name
        for path in (ROOT / "deploy" / "systemd").glob("*.service")
        if f"{path.stem}.timer" not in there
    }
    rows = re.findall(r"^\| (`dewline-.*?) \|", UNITS, re.MULTILINE)
    assert set(re.findall(r"`(dewline-[a-z.]+)`", " ".join(rows))) == there
