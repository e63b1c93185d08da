"""Index templates, one per kind, made from `cloud.columns.COLUMNS`.

Plain indices on purpose: no data streams (they refuse late data or lose the dedupe by `_id`), no
lifecycle policies, no scripts. Retention is dropping old indices.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from cloud.columns import COLUMNS, Column, ColumnType
from cloud.search.names import IndexNames
from contract.records import Kind

__all__ = [
    "TIMESTAMP",
    "TemplateSource",
    "TemplateTarget",
    "install",
    "mapping_of",
    "outdated",
    "template",
    "template_of",
]

TIMESTAMP = "@timestamp"  # a copy of observed_at: the name that dashboards look for
_INSTANT = {"type": "date", "format": "epoch_millis||strict_date_time"}
_FIELDS: dict[ColumnType, dict[str, Any]] = {
    ColumnType.WORD: {"type": "keyword"},
    ColumnType.INTEGER: {"type": "long"},
    ColumnType.REAL: {"type": "double"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.INSTANT: _INSTANT,
    ColumnType.DAY: {"type": "date", "format": "strict_date"},
    ColumnType.WORDS: {"type": "keyword"},
    # The same JSON text as in every other store, kept but not searchable. An object with
    # `enabled: false` would make this store's document differ from the columns; without index and
    # doc values the 32,766 byte limit of a keyword does not apply, so no ignore_above either.
    ColumnType.DOCUMENT: {"type": "keyword", "index": False, "doc_values": False},
}


class TemplateTarget(Protocol):
    """What `install` needs of a search server."""

    def ensure_template(self, name: str, template: Mapping[str, Any]) -> None:
        """Create the index template, or bring it up to date."""
        ...

    def extend_mapping(self, alias: str, properties: Mapping[str, Any]) -> None:
        """Add fields to the indices that exist under `alias`."""
        ...


class TemplateSource(Protocol):
    """What `outdated` needs of a search server."""

    def index_template(self, name: str) -> Mapping[str, Any] | None:
        """An index template as it is installed, None if it is not."""
        ...


def mapping_of(columns: tuple[Column, ...]) -> dict[str, Any]:
    """The fields of a kind's documents: its columns and `@timestamp`."""
    return {TIMESTAMP: _INSTANT} | {c.name: _FIELDS[c.type] for c in columns}


def template_of(kind: Kind, names: IndexNames, *, replicas: int = 0) -> dict[str, Any]:
    """The index template of a kind, as Elasticsearch takes it."""
    return template(names.alias(kind), COLUMNS[kind], replicas=replicas)


def template(alias: str, columns: tuple[Column, ...], *, replicas: int = 0) -> dict[str, Any]:
    """The template of every index under an alias: nothing but these columns."""
    return {
        "index_patterns": [f"{alias}-*"],
        "priority": 100,
        "template": {
            "settings": {"number_of_shards": 1, "number_of_replicas": replicas},
            "mappings": {"dynamic": "strict", "properties": mapping_of(columns)},
            "aliases": {alias: {}},
        },
    }


def install(target: TemplateTarget, names: IndexNames, *, replicas: int = 0) -> tuple[str, ...]:
    """Put every kind's template in place; repeating it changes nothing.

    Indices made by an older program get the columns that they lack.

    Returns:
        The templates' names.
    """
    for kind in COLUMNS:
        target.ensure_template(names.alias(kind), template_of(kind, names, replicas=replicas))
        target.extend_mapping(names.alias(kind), mapping_of(COLUMNS[kind]))
    return tuple(names.alias(kind) for kind in COLUMNS)


def outdated(source: TemplateSource, names: IndexNames) -> tuple[str, ...]:
    """Templates that are missing or not this program's; how many copies they ask for is free."""
    return tuple(
        names.alias(kind)
        for kind in COLUMNS
        if _compared(source.index_template(names.alias(kind)))
        != _compared(template_of(kind, names))
    )


def _compared(template: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    if template is None:
        return None
    inner = template.get("template", {})
    patterns = template.get("index_patterns")
    return patterns, inner.get("mappings"), inner.get("aliases")
