"""The index where the pipelines put what was refused: its name and its fields."""

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
    """Under which dead letters are searched."""
    return f"{prefix}-dead-letter"


def index(prefix: str) -> str:
    """The one index of dead letters: dead_letter.conf writes there."""
    return f"{alias(prefix)}-all"


def install(target: _Target, prefix: str) -> str:
    """Make template and index; repeating it changes nothing. Returns the index's name."""
    target.ensure_template(alias(prefix), template(alias(prefix), _COLUMNS))
    target.ensure_index(index(prefix))
    return index(prefix)
