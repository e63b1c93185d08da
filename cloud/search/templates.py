"""Makes and installs the index templates, one per kind, from `cloud.columns.COLUMNS`.

They make plain indices, without data streams (which refuse late data, or duplicates by `_id`),
lifecycle policies or scripts. To delete old data, delete old indices.
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

TIMESTAMP = "@timestamp"  # a copy of observed_at, under the name that dashboards expect
_INSTANT = {"type": "date", "format": "epoch_millis||strict_date_time"}
_FIELDS: dict[ColumnType, dict[str, Any]] = {
    ColumnType.WORD: {"type": "keyword"},
    ColumnType.INTEGER: {"type": "long"},
    ColumnType.REAL: {"type": "double"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.INSTANT: _INSTANT,
    ColumnType.DAY: {"type": "date", "format": "strict_date"},
    ColumnType.WORDS: {"type": "keyword"},
    # The same JSON text as in every other store, stored but not searchable. An object with
    # `enabled: false` would differ from the columns. Without index and doc values, a keyword's
    # limit of 32,766 bytes does not apply, so ignore_above is not needed.
    ColumnType.DOCUMENT: {"type": "keyword", "index": False, "doc_values": False},
}


class TemplateTarget(Protocol):
    """The calls to a search server that `install` needs."""

    def ensure_template(self, name: str, template: Mapping[str, Any]) -> None:
        """Create or update the index template."""
        ...

    def extend_mapping(self, alias: str, properties: Mapping[str, Any]) -> None:
        """Add fields to the indices that exist under `alias`."""
        ...


class TemplateSource(Protocol):
    """The call to a search server that `outdated` needs."""

    def index_template(self, name: str) -> Mapping[str, Any] | None:
        """Return an installed index template; None if it is not installed."""
        ...


def mapping_of(columns: tuple[Column, ...]) -> dict[str, Any]:
    """Returns the fields of a kind's documents: its columns and `@timestamp`."""
    return {TIMESTAMP: _INSTANT} | {c.name: _FIELDS[c.type] for c in columns}


def template_of(kind: Kind, names: IndexNames, *, replicas: int = 0) -> dict[str, Any]:
    """Returns the index template of a kind, in Elasticsearch's form."""
    return template(names.alias(kind), COLUMNS[kind], replicas=replicas)


def template(alias: str, columns: tuple[Column, ...], *, replicas: int = 0) -> dict[str, Any]:
    """Returns the template of every index under an alias, which allows only these columns."""
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
    """Installs every kind's template; repeating it changes nothing.

    Existing indices get the columns that they lack.

    Returns:
        The templates' names.
    """
    for kind in COLUMNS:
        target.ensure_template(names.alias(kind), template_of(kind, names, replicas=replicas))
        target.extend_mapping(names.alias(kind), mapping_of(COLUMNS[kind]))
    return tuple(names.alias(kind) for kind in COLUMNS)


def outdated(source: TemplateSource, names: IndexNames) -> tuple[str, ...]:
    """Returns the missing templates and those of another version; ignores the replicas' number."""
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
