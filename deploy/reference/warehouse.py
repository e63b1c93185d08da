"""Generates the data dictionary of docs/warehouse.md, and its picture docs/warehouse.svg.

`python -m deploy.reference.warehouse docs/warehouse.md` rewrites the text between the markers and
the picture beside the page. With `--check` it writes nothing and exits with 1 if either is stale.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects import mysql

from cloud.columns import COLUMNS, COMMON
from cloud.warehouse import aggregate_tables, ledger_tables, model_tables
from cloud.warehouse.queries import QUERIES
from cloud.warehouse.tables import FACTS, METADATA, STAGING
from cloud.warehouse.views import VIEWS
from contract.records import RECORD_TYPES, Kind
from contract.schema import attribute_texts
from deploy.reference import page
from deploy.reference.warehouse_picture import picture
from deploy.reference.warehouse_texts import COLUMN_TEXTS, COMMON_TEXTS, GRAINS

__all__ = ["GROUPS", "main", "meaning", "row_of", "tables"]

_STAGED = (*STAGING.values(), aggregate_tables.STAGED_ROWS, aggregate_tables.STAGED_DAYS)
_DIMENSIONS = (
    *(aggregate_tables.DIM_DEVICES, aggregate_tables.DIM_SENSORS),
    *(aggregate_tables.DIM_SITES, aggregate_tables.DIM_CONDITIONS),
)
_SUMMARIES = (*aggregate_tables.AGGREGATES, aggregate_tables.EXCURSIONS, aggregate_tables.DUE)
_LEDGER = (
    *(ledger_tables.DELIVERIES, ledger_tables.STARTS, ledger_tables.LOSSES),
    *(ledger_tables.HELD, ledger_tables.QUARANTINE),
)
_MODELS = (
    *(model_tables.TRUTH, model_tables.CLOUD_PREDICTIONS, model_tables.OUTCOMES),
    *(model_tables.MODELS, model_tables.MODEL_ALIASES, model_tables.DECISIONS),
    *(model_tables.CANDIDATES, model_tables.MONITORING, model_tables.RELIABILITY),
    *(model_tables.QUALITY_SPANS, model_tables.DESIRED),
)
GROUPS: dict[str, tuple[Table, ...]] = {
    "dimensions": _DIMENSIONS,
    "facts": tuple(FACTS.values()),
    "summaries": _SUMMARIES,
    "models": _MODELS,
    "ledger": _LEDGER,
    "staging": _STAGED,
}
_KINDS = {table.name: kind for tables in (FACTS, STAGING) for kind, table in tables.items()}


def tables() -> dict[str, str]:
    """Returns every generated part by its name, as Markdown."""
    return {
        **{f"rows of {group}": _rows(own) for group, own in GROUPS.items()},
        **{
            f"columns of {group}": "\n".join(map(_columns, own))
            for group, own in GROUPS.items()
            if group != "staging"
        },
        "columns of staging": _columns(aggregate_tables.STAGED_ROWS),
        "views": page.table(("view", "one row is"), [(f"`{v.name}`", v.row) for v in VIEWS]),
        "queries": page.table(
            ("query", "rows", "view"),
            [(f"`{q.name}`", q.about, f"`{q.view}`") for q in QUERIES.values()],
        ),
    }


def _rows(own: Iterable[Table]) -> str:
    rows = [(f"`{t.name}`", row_of(t), _names(c.name for c in t.primary_key)) for t in own]
    return page.table(("table", "one row is", "key"), rows)


def row_of(table: Table) -> str:
    """Returns the grain of a table: what one row is."""
    if table.name not in _KINDS:
        return GRAINS[table.name]
    kind = _KINDS[table.name]
    if table in STAGING.values():
        return f"one row of `{FACTS[kind].name}` and attempt of a load"
    return f"one record of kind `{kind}`"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _columns(table: Table) -> str:
    """Returns the columns of a table under its name; common columns of facts are left out."""
    common = {c.name for c in COMMON} if table.name in _KINDS else set()
    rows = [
        (f"`{c.name}`", _type(c.type), "yes" if c.nullable else "", meaning(table, c.name))
        for c in table.columns
        if c.name not in common
    ]
    heading = f"**`{table.name}`**\n\n"
    return heading + page.table(("column", "type", "null", "meaning"), rows)


def _type(of_column: object) -> str:
    compiled: str = of_column.compile(mysql.dialect())  # type: ignore[attr-defined]  # a type of SQLAlchemy
    return compiled.lower()


def meaning(table: Table, name: str) -> str:
    """Returns the meaning of a column.

    Raises:
        KeyError: The column has no text in `warehouse_texts`.
    """
    kind = _KINDS.get(table.name)
    if kind is not None and name not in COMMON_TEXTS:
        return _of_record(kind, name)
    return COLUMN_TEXTS.get(f"{table.name}.{name}") or COLUMN_TEXTS[name]


def _of_record(kind: Kind, name: str) -> str:
    if name not in {c.name for c in COLUMNS[kind]}:
        raise KeyError(name)
    return attribute_texts(RECORD_TYPES[kind])[name]


def _svg(arguments: Sequence[str]) -> Path:
    return Path(next(a for a in arguments if not a.startswith("-"))).with_suffix(".svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the page's generated parts and its picture, or checks that they are current."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    stale = page.maintain("deploy.reference.warehouse", tables(), given)
    target, drawn = _svg(given), picture(METADATA, GROUPS)
    if target.is_file() and target.read_text(encoding="utf-8") == drawn:
        return stale
    if "--check" in given:
        print(f"{target}: the picture is stale; run python -m deploy.reference.warehouse")
        return 1
    target.write_text(drawn, encoding="utf-8")
    print(f"{target}: written")
    return stale


if __name__ == "__main__":
    sys.exit(main())
