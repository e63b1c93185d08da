"""docs/cloud.md says everything that the cloud knows."""

import re
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest

from cloud.cli import parser_of
from cloud.config import Period, SearchConfig
from cloud.forecast import FORECAST_COLUMNS, Forecast
from cloud.lake.landing import path_of
from cloud.lake.positions import FileSequence, Position
from cloud.lake.raw_rows import BLOCK_COLUMNS, RAW_SCHEMA
from cloud.registry import bundle_path
from cloud.reports.device_history import DRAWN_DEVICES
from cloud.scoring.documents import document_id
from cloud.search.names import IndexNames
from cloud.transforms import clean, schema
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS
from contract.records import Kind
from contract.topics import Lane
from deploy.reference import cloud as reference

PAGE = Path(__file__).parents[2] / "docs" / "cloud.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = dict(reference.commands())


def test_the_generated_parts_are_current():
    assert reference.main([str(PAGE), "--check"]) == 0, "run python -m deploy.reference.cloud"


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
            option = (action.option_strings or [action.metavar])[-1]
            rows = re.findall(rf"^\| `{option}\b[^`]*` \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
            assert any(f"`{command}`" in of and len(text) > 5 for of, text in rows), option


def section(title):
    rest = TEXT.partition(f"\n## {title}\n")[2]
    assert rest, title
    return rest.partition("\n## ")[0]


def words(text):
    return set(re.findall(r"`(\w+)`", text))


def test_the_lakes_columns_are_there():
    named = words(section("The lake"))
    assert {*BLOCK_COLUMNS, *RAW_SCHEMA.names} <= named
    added = {schema.PERIOD, schema.SOURCE, schema.CLEAN_FLAGS}
    added |= {clean.BAD_QUALITY, clean.NO_VALUE, clean.OUT_OF_RANGE}
    assert added <= named
    columns = {c.name for c in schema.COLUMNS[Kind.READING]}
    assert set(schema.READINGS.names) - columns == {
        schema.PERIOD,
        schema.SOURCE,
        schema.CLEAN_FLAGS,
    }


def test_a_landing_files_path_is_as_the_page_says():
    form = re.search(r"^\| `(landing/\S+)` ", TEXT, re.MULTILINE)[1]
    path = path_of(Position(FileSequence("a", "1795517522667-5619e7b6", Lane.LIVE), 7), 0)
    pattern = re.sub(r"<\w+>", "[^/]+", form.replace(".", r"\."))
    assert re.fullmatch(pattern, path), path


def test_an_index_is_named_as_the_page_says():
    names = IndexNames(SearchConfig(url="http://127.0.0.1").prefix, Period.MONTH)
    text = section("The indices")
    assert f"`{names.index(Kind.READING, date(2026, 11, 24))}`" in text
    assert names.unsynced(Kind.READING).replace("dewline-reading", "<prefix>-<kind>") in text


def test_every_process_that_stays_up_or_has_a_timer_is_in_the_list():
    rows = set(re.findall(r"^\| `([a-z -]+)` \|", section("What runs"), re.MULTILINE))
    stay = {name for name in COMMANDS if "until SIGTERM" in COMMANDS[name].description}
    assert {name for name in COMMANDS if name.endswith(" follow")} < stay
    timed = {name for name in rows if re.search(rf"`{name}` .* from a timer", TEXT)}
    assert timed == {"transform run", "cycle run", "report write"}
    assert rows == stay | timed | {"lake fold --follow"}


def test_the_cloud_s_forecasts_are_indexed_as_the_page_says():
    names, text = IndexNames("<prefix>", Period.MONTH), section("The indices")
    day = date(2026, 11, 24)
    assert f"`{names.forecast(day).replace('2026.11', '<period>')}`" in text
    forecast = Forecast(
        **dict.fromkeys(("device_id", "stream_id", "seq", "condition_id", "model", "version"), "x"),
        **dict.fromkeys(("issued_at", "horizon_s", "probability", "late"), 0),
    )
    assert len(document_id(forecast).split(":")) == 6
    assert "`device:stream:seq:condition:model:version`" in text
    assert [c.name for c in FORECAST_COLUMNS] == [c.name for c in CLOUD_PREDICTIONS.c]


def test_the_bundles_path_is_as_the_page_says():
    path = bundle_path(Path("<folder>"), "<sha256>")
    assert f"`{path}`" in section("The registry")


def test_charts_are_drawn_for_as_many_devices_as_the_page_says():
    assert f"the first {DRAWN_DEVICES} devices" in " ".join(section("The report").split())
