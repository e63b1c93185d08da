"""docs/cloud.md says everything that the cloud knows."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cloud import reference
from cloud.cli import parser_of
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
    start = f"example: dewline-cloud --config cloud.toml {command}"
    assert COMMANDS[command].epilog.startswith(start)
    example = re.search(rf"^\| `{command}` \| .+ \| `(.+)` \|$", TEXT, re.MULTILINE)[1]
    words = ["--config", "cloud.toml", *example.partition(" > ")[0].split()]
    assert parser_of(words).parse_args(words).run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_meaning(command):
    for action in COMMANDS[command]._actions:
        if action.dest != "help":
            option = action.option_strings[-1]
            rows = re.findall(rf"^\| `{option}\b[^`]*` \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
            assert any(f"`{command}`" in of and len(text) > 5 for of, text in rows), option


def test_every_table_is_there():
    named = set(re.findall(r"`(\w+)`", TEXT))
    assert set(METADATA.tables) - {t.name for t in STAGING.values()} <= named
