"""docs/edge.md says everything that the gateway knows."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from contract.quantities import Flag
from contract.records import LossReason
from deploy.reference import edge as reference
from edge.cli import build_parser
from firmware_bridge import chips

PAGE = Path(__file__).parents[2] / "docs" / "edge.md"
TEXT = PAGE.read_text(encoding="utf-8")


def section(title):
    match = re.search(rf"^(#+) {re.escape(title)}\n", TEXT, re.MULTILINE)
    assert match, title
    rest = TEXT[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def test_the_tables_are_what_the_dataclasses_say():
    assert reference.rewritten(TEXT) == TEXT, "run python -m deploy.reference.edge docs/edge.md"
    assert reference.main([str(PAGE), "--check"]) == 0


def test_the_page_has_every_table():
    assert set(re.findall(r"<!-- table: (.*) -->", TEXT)) == set(reference.tables())


def test_a_stale_table_is_seen_and_mended(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("| `window` |", "| `windows` |"), encoding="utf-8")
    assert reference.main([str(page), "--check"]) == 1
    assert "stale" in capsys.readouterr().out
    assert reference.main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("table", reference.CONFIG_TABLES)
def test_every_key_stands_in_its_section_with_a_meaning(table):
    titles = {"top level": "Top level", "sensor": "`[[sensor]]`", "condition": "`[[condition]]`"}
    text = section(titles.get(table, f"`[{table}]`"))
    for field in fields(reference.CONFIG_TABLES[table]):
        row = re.search(rf"^\| `{field.name}` \|.*\| (.+) \|$", text, re.MULTILINE)
        assert row, field.name
        assert len(row[1]) > 5, field.name


@pytest.mark.parametrize("driver", chips.driver_names())
def test_every_driver_has_its_section_with_its_keys(driver):
    text = section(driver)
    for field in fields(chips.load(driver).Config):
        assert f"| `{field.name}` |" in text


def test_every_verb_and_option():
    verbs = next(a for a in build_parser()._actions if a.dest == "verb").choices
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Verbs"), re.MULTILINE)
    assert {name for name, _ in rows} == set(verbs)
    for name, text in rows:
        for action in verbs[name]._actions:
            if action.dest not in ("help", "config"):
                assert f"`{action.option_strings[-1]}" in text, (name, action.dest)
    assert "`--config FILE`" in section("Verbs")


def test_every_loss_and_every_missing_values_reason():
    text = section("What happens when …")
    for reason in LossReason:
        assert f"`{reason}`" in text
    for flag in (Flag.NO_ANSWER, Flag.CHECK_FAILED, Flag.SENSOR_FAULT, Flag.OUT_OF_RANGE):
        assert f"`{flag}`" in text


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target
