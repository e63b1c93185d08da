"""docs/warehouse.md and its picture say everything that the warehouse has."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cloud.aggregates.bins import _ACTIVATION_K, _GAP_FACTOR
from cloud.commands.warehouse import _DEFAULT_DAYS
from cloud.monitoring.excursions import AFTER_GAP, DATA_GAP
from cloud.warehouse.queries import QUERIES
from cloud.warehouse.tables import KEY, METADATA
from cloud.warehouse.views import VIEWS
from deploy.reference import warehouse as reference
from deploy.reference.warehouse_picture import JOINS
from deploy.reference.warehouse_texts import COLUMN_TEXTS, GRAINS

PAGE = Path(__file__).parents[2] / "docs" / "warehouse.md"
TEXT = PAGE.read_text(encoding="utf-8")
PLAIN = " ".join(TEXT.split())


def test_the_generated_parts_and_the_picture_are_current():
    stale = "run python -m deploy.reference.warehouse docs/warehouse.md"
    assert reference.main([str(PAGE), "--check"]) == 0, stale


def test_a_stale_part_and_a_stale_picture_are_seen_and_rewritten(tmp_path):
    page, drawn = tmp_path / "page.md", tmp_path / "page.svg"
    page.write_text(TEXT.replace("| `agg_hour` |", "| `agg_year` |"), encoding="utf-8")
    assert reference.main([str(page), "--check"]) == 1
    assert reference.main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == TEXT
    drawn.write_text(drawn.read_text(encoding="utf-8").replace("agg_hour", "agg_year"))
    assert reference.main([str(page), "--check"]) == 1
    assert reference.main([str(page)]) == 0
    assert drawn.read_bytes() == PAGE.with_suffix(".svg").read_bytes()


def test_the_page_has_every_part():
    assert set(re.findall(r"<!-- table: (.*) -->", TEXT)) == set(reference.tables())


def test_every_table_is_in_one_group():
    grouped = [table.name for group in reference.GROUPS.values() for table in group]
    assert sorted(grouped) == sorted(METADATA.tables)


@pytest.mark.parametrize("name", sorted(METADATA.tables))
def test_every_table_has_its_row_and_every_column_its_meaning(name):
    table = METADATA.tables[name]
    assert len(reference.row_of(table)) > 5
    assert re.search(rf"^\| `{name}` \| .+ \| `.+` \|$", TEXT, re.MULTILINE)
    for column in table.columns:
        assert len(reference.meaning(table, column.name)) > 5, column.name


def test_a_missing_column_is_seen():
    with pytest.raises(KeyError):
        reference.meaning(METADATA.tables["agg_hour"], "speed")
    with pytest.raises(KeyError):
        reference.meaning(METADATA.tables["fct_reading"], "speed")


def test_no_text_is_without_a_column():
    every = {c.name for t in METADATA.tables.values() for c in t.columns}
    for name in COLUMN_TEXTS:
        table, _, column = name.rpartition(".")
        assert (column in METADATA.tables[table].c) if table else (name in every), name
    assert set(GRAINS) <= set(METADATA.tables)


def test_every_view_and_query_is_there():
    for view in VIEWS:
        assert re.search(rf"^\| `{view.name}` \| ", TEXT, re.MULTILINE)
    for name, query in QUERIES.items():
        assert re.search(rf"^\| `{name}` \| .+ \| `{query.view}` \|$", TEXT, re.MULTILINE)
    assert f"the last {_DEFAULT_DAYS} days" in PLAIN


def test_the_figures_of_the_text_are_those_of_the_program():
    assert f"more than {_GAP_FACTOR} usual intervals" in PLAIN
    assert round(_ACTIVATION_K * 8.3144 / 1000, 3) == 83.144
    assert "activation energy 83.144 kJ/mol" in PLAIN
    assert {f"`{name}`" for name in (AFTER_GAP, DATA_GAP, *KEY)} <= set(re.findall(r"`\w+`", TEXT))


def test_the_picture_joins_existing_columns_and_draws_each_table():
    drawn = ET.parse(PAGE.with_suffix(".svg")).getroot()
    texts = {node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")}
    for join in JOINS:
        assert {join.many, join.one} <= texts
        for name in join.columns:
            assert name in METADATA.tables[join.many].c
            assert name in METADATA.tables[join.one].primary_key
    for name in ("agg_hour", "agg_day", "dim_sensor", "excursion", "fct_reading"):
        assert {c.name for c in METADATA.tables[name].columns} <= texts
