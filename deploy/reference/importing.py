"""Generates the tables of docs/import.md: keys of a mapping, reasons for refusal, ready mappings.

`python -m deploy.reference.importing docs/import.md` rewrites the text between the markers `<!--
table: NAME -->` and `<!-- end of table -->`. With `--check` it writes nothing and exits with 1 if
the page is stale.
"""

import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from cloud.importing import mapping
from cloud.importing.mapping_file import ready
from cloud.importing.refusals import REASONS
from cloud.importing.units import known_units
from contract.quantities import Quantity
from contract.schema import attribute_texts
from deploy.reference import page
from deploy.reference.settings import cells_of, keys_table

__all__ = ["SECTIONS", "main", "rewritten", "tables"]

SECTIONS: dict[str, Any] = {
    "csv": mapping.CsvKeys,
    "time": mapping.TimeKeys,
    "device": mapping.DeviceKeys,
    "sensor": mapping.SensorKeys,
    "signal": mapping.SignalKeys,
    "value": mapping.ValueKeys,
    "quality": mapping.QualityKeys,
}
_TOP = ("about", "source", "format", "missing")


def tables() -> dict[str, str]:
    """Returns every generated table by its name, as Markdown."""
    keys = {f"keys of {name}": keys_table(cls) for name, cls in SECTIONS.items()}
    return keys | {
        "keys of mapping": _top(),
        "reasons": page.table(("reason", "meaning"), _coded(REASONS.items())),
        "ready mappings": page.table(("mapping", "for"), _coded(ready())),
        "units": page.table(
            ("quantity", "units, in upper or lower case"),
            [(f"`{q}`", ", ".join(f"`{u}`" for u in known_units(q).split(", "))) for q in Quantity],
        ),
    }


def _top() -> str:
    texts = attribute_texts(mapping.Mapping)
    own = zip(cells_of(mapping.Mapping), fields(mapping.Mapping), strict=True)
    rows = [(*cells, texts[f.name]) for cells, f in own if f.name in _TOP]
    return page.table(("key", "value", "if missing", "meaning"), rows)


def _coded(rows: Any) -> list[tuple[str, str]]:
    return [(f"`{name}`", text) for name, text in rows]


def rewritten(text: str) -> str:
    """Returns a page with current tables; raises KeyError if it names an unknown table."""
    return page.rewritten(text, tables())


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    return page.maintain("deploy.reference.importing", tables(), arguments)


if __name__ == "__main__":
    sys.exit(main())
