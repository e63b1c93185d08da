"""The tables against the contract, without a server."""

import re
import typing
from dataclasses import fields

import pytest
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from cloud.columns import COLUMNS
from cloud.warehouse.ledger_tables import DELIVERIES
from cloud.warehouse.tables import FACTS, STAGING, Instant
from contract.records import RECORD_TYPES, Kind
from contract.typed import Pattern


def patterns(hint):
    found = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Pattern)]
    return found + [p for a in typing.get_args(hint) for p in patterns(a)]


@pytest.mark.parametrize("kind", Kind)
def test_tables_have_the_columns_of_their_kind(kind):
    wanted = [(c.name, not c.required) for c in COLUMNS[kind]]
    assert [(c.name, c.nullable) for c in FACTS[kind].columns] == wanted
    staged = [(c.name, c.nullable) for c in STAGING[kind].columns]
    assert staged == [("row_id", False), ("batch_id", False), *wanted]
    assert [c.name for c in STAGING[kind].primary_key] == ["row_id"]
    assert [c.name for c in FACTS[kind].primary_key] == [
        "device_id",
        "stream_id",
        "seq",
        "event_day",
    ]


@pytest.mark.parametrize("kind", Kind)
def test_words_are_as_long_as_the_contract_allows(kind):
    hints = typing.get_type_hints(RECORD_TYPES[kind], include_extras=True)
    for field in fields(RECORD_TYPES[kind]):
        column = FACTS[kind].c[field.name]
        if not isinstance(column.type, mysql.VARCHAR):
            continue
        for pattern in patterns(hints[field.name]):
            assert not re.fullmatch(pattern.regex, "a" * (column.type.length + 1)), field.name
        for member in getattr(hints[field.name], "__members__", ()):
            assert len(member) <= column.type.length


def test_the_ledger_counts_every_kind():
    assert {f"{kind}_total" for kind in Kind} <= {c.name for c in DELIVERIES.columns}


@pytest.mark.parametrize("table", [*FACTS.values(), *STAGING.values()])
def test_texts_are_compared_byte_by_byte(table):
    ddl = str(CreateTable(table).compile(dialect=mysql.dialect()))
    assert "COLLATE utf8mb4_bin" in ddl
    assert "ENGINE=InnoDB" in ddl


@pytest.mark.parametrize("at", [-62_135_596_800_000, -1, 0, 1, 253_402_300_799_999])
def test_an_instant_survives_both_ways(at):
    kind = Instant()
    dialect = mysql.dialect()
    assert kind.process_result_value(kind.process_bind_param(at, dialect), dialect) == at
