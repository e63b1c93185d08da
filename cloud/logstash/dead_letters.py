"""Defines the index of dead letters, where the pipelines write refused events."""

from typing import Protocol

from cloud.columns import Column, ColumnType
from cloud.logstash.writer import Indices
from cloud.search.templates import TemplateTarget, mapping_of, template

__all__ = ["FIELDS", "alias", "index", "install"]

_COLUMNS = (
    Column("reason", ColumnType.WORD, required=True),
    Column("refused_by", ColumnType.WORD, required=True),  # `intake`, or Logstash's plug-in
    Column("device_id", ColumnType.WORD, required=False),
    Column("document", ColumnType.DOCUMENT, required=True),  # the event as text
)
FIELDS = frozenset(mapping_of(_COLUMNS))


class _Target(TemplateTarget, Indices, Protocol): ...


def alias(prefix: str) -> str:
    """Return the alias for searches of dead letters."""
    return f"{prefix}-dead-letter"


def index(prefix: str) -> str:
    """Return the name of the only index of dead letters, to which dead_letter.conf writes."""
    return f"{alias(prefix)}-all"


def install(target: _Target, prefix: str) -> str:
    """Create template and index unless they exist. Return the index's name."""
    target.ensure_template(alias(prefix), template(alias(prefix), _COLUMNS))
    target.ensure_index(index(prefix))
    return index(prefix)
