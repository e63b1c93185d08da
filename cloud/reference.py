"""The generated parts of docs/cloud.md: configuration keys, commands, tables.

    python -m cloud.reference docs/cloud.md           rewrites what stands between the markers
    python -m cloud.reference docs/cloud.md --check   exits with 1 if that would change it

They stand between `<!-- table: NAME -->` and `<!-- end of table -->`; the rest people write.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from cloud import config
from cloud.cli import parser_of
from cloud.columns import COLUMNS, COMMON
from cloud.warehouse.tables import FACTS, METADATA, STAGING
from contract.records import RECORD_TYPES
from contract.schema import attribute_texts

__all__ = ["SECTIONS", "commands", "main", "rewritten", "tables"]

SECTIONS: dict[str, Any] = {
    "lake": config.LakeConfig,
    "ingest": config.IngestConfig,
    "search": config.SearchConfig,
    "warehouse": config.WarehouseConfig,
    "spark": config.SparkConfig,
}
_GRAINS = {
    "ledger_delivery": "one readable block in a committed file",
    "ledger_stream": "one Status of phase `start`: a stream and the one before it",
    "ledger_loss": "one Loss record",
    "ledger_held": "one Held record",
    "quarantine_block": "one refused block or document, and why",
}
_MARKED = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Every generated part by its name, as Markdown."""
    keys = {f"keys of {name}": _keys(cls) for name, cls in SECTIONS.items()}
    return keys | {"commands": _commands(), "kinds": _kinds(), "other tables": _other_tables()}


def rewritten(text: str) -> str:
    """A page with its generated parts as they are now.

    Raises:
        KeyError: The page names a part that does not exist.
    """
    known = tables()
    return _MARKED.sub(lambda m: m[1] + known[m[2]] + m[3], text)


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every `noun verb` with its parser."""
    for noun, parser in _choices(parser_of(())).items():
        for verb, leaf in _choices(parser).items():
            yield f"{noun} {verb}", leaf


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001  # argparse has no public way to its verbs
        if isinstance(action.choices, dict):
            return dict(action.choices)
    return {}


def _commands() -> str:
    rows = []
    for name, parser in commands():
        options = [
            f"`{action.option_strings[-1]}`"
            for action in parser._actions  # noqa: SLF001  # see above
            if action.option_strings and action.dest != "help"
        ]
        rows.append((f"`{name}`", (parser.description or "").strip(), " ".join(options) or "none"))
    return _table(("command", "what it does", "options"), rows)


def _keys(cls: Any) -> str:
    texts = attribute_texts(cls)
    rows = [(f"`{f.name}`", _missing(f), texts[f.name]) for f in fields(cls)]
    return _table(("key", "if missing", "meaning"), rows)


def _missing(field: "Field[Any]") -> str:
    if field.default is MISSING:
        return "**refused**"
    return "none" if field.default in (None, ()) else f"`{field.default}`"


def _kinds() -> str:
    rows = []
    for kind, columns in COLUMNS.items():
        about = (RECORD_TYPES[kind].__doc__ or "").strip().splitlines()[0]
        own = ", ".join(f"`{column.name}`" for column in columns[len(COMMON) :])
        rows.append((f"`{FACTS[kind].name}`", f"`{kind}`", about, own))
    return _table(("table", "kind", "one row is", "its own columns"), rows)


def _other_tables() -> str:
    kinds = {table.name for table in (*FACTS.values(), *STAGING.values())}
    others = [t for name, t in sorted(METADATA.tables.items()) if name not in kinds]
    rows = [(f"`{t.name}`", _GRAINS[t.name], _key(t)) for t in others]
    return _table(("table", "one row is", "key"), rows)


def _key(table: Table) -> str:
    return ", ".join(f"`{column.name}`" for column in table.primary_key)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    parser = argparse.ArgumentParser(prog="python -m cloud.reference", description=main.__doc__)
    parser.add_argument("page", type=Path, help="docs/cloud.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    options = parser.parse_args(arguments)
    old = options.page.read_text(encoding="utf-8")
    new = rewritten(old)
    if old == new:
        return 0
    if options.check:
        print(f"{options.page}: stale: run python -m cloud.reference {options.page}")
        return 1
    options.page.write_text(new, encoding="utf-8")
    print(f"{options.page}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
