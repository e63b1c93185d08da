"""docs/cloud.md says everything that the cloud knows."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cloud import reference
from cloud.warehouse.tables import METADATA, STAGING

PAGE = Path(__file__).parents[2] / "docs" / "cloud.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = dict(reference.commands())


def test_the_generated_parts_are_current():
    assert reference.main([str(PAGE), "--check"]) == 0, "run python -m cloud.reference"


def test_a_stale_part_is_seen_and_mended(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("| `grace_s` |", "| `grace` |"), encoding="utf-8")
    assert reference.main([str(page), "--check"]) == 1
    assert reference.main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == TEXT


def test_the_page_has_every_part():
    assert set(re.findall(r"<!-- table: (.*) -->", TEXT)) == set(reference.tables())


@pytest.mark.parametrize("section", reference.SECTIONS)
def test_every_key_has_a_meaning(section):
    for field in fields(reference.SECTIONS[section]):
        row = re.search(rf"^\| `{field.name}` \|.*\| (.+) \|$", TEXT, re.MULTILINE)
        assert row, field.name
        assert len(row[1]) > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_with_an_example(command):
    assert COMMANDS[command].description
    assert f"example: dewline-cloud --config cloud.toml {command}" in COMMANDS[command].epilog


def test_every_table_is_there():
    named = set(re.findall(r"`(\w+)`", TEXT))
    assert set(METADATA.tables) - {t.name for t in STAGING.values()} <= named
