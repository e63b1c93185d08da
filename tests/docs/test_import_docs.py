"""docs/import.md says everything that a mapping may contain, and its example works as written."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cloud.cli import main
from cloud.importing.source import _SUFFIXES
from deploy.reference import importing as reference

PAGE = Path(__file__).parents[2] / "docs" / "import.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_are_current():
    assert reference.rewritten(TEXT) == TEXT, "run python -m deploy.reference.importing"
    assert reference.main([str(PAGE), "--check"]) == 0


def test_the_page_has_every_table():
    assert set(re.findall(r"<!-- table: (.*) -->", TEXT)) == set(reference.tables())


@pytest.mark.parametrize("section", reference.SECTIONS)
def test_every_key_has_a_meaning(section):
    for field in fields(reference.SECTIONS[section]):
        row = re.search(rf"^\| `{field.name}` \|.*\| (.+) \|$", TEXT, re.MULTILINE)
        assert row, field.name
        assert len(row[1]) > 5


def test_every_suffix_of_files_in_folders_is_named():
    assert all(f"`{suffix}`" in TEXT for suffix in _SUFFIXES)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The files of the page's example, in the working folder."""
    part = TEXT.partition("\n## Example: a cold store\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    named = {kind: text for kind, text in blocks if kind != "sh"}
    (tmp_path / "store.csv").write_text(named["csv"], encoding="utf-8")
    (tmp_path / "store.toml").write_text(named["toml"], encoding="utf-8")
    (tmp_path / "cloud.toml").write_text('[lake]\nroot = "lake"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return named["text"]


def test_the_example_works_as_written(example, capsys):
    command = ["--config", "cloud.toml", "import", "store.csv", "--mapping", "store.toml"]
    assert main([*command, "--dry-run", "--rows", "3"]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown == [" ".join(line.split()) for line in example.splitlines()]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["readings"] == 16
    assert main(["--config", "cloud.toml", "lake", "fold", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["appended_files"] == 1
