"""Writes forecasts to table `cloud_prediction` and to Elasticsearch.

A batch determines all forecasts of a span of time; other stored forecasts of the span are obsolete
and are removed. This happens when a late reading moves the completion of a step to another key.
Obsolete forecasts are found in the table, so the table must contain every forecast that
Elasticsearch has: a row is written before its document and deleted after it. If a batch is
interrupted anywhere, the next batch therefore finds and removes its remains.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, delete, select, tuple_
from sqlalchemy.dialects.mysql import Insert, insert

from cloud.forecast import Forecast
from cloud.scoring.documents import document_of
from cloud.scoring.forecast import TimeSpan
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from cloud.search.retention import Retention
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS

__all__ = ["DocumentStore", "ForecastSink", "Indices"]

_log = logging.getLogger(__name__)
_AT_ONCE = 1000
_TABLE = CLOUD_PREDICTIONS
_KEY = tuple(column.name for column in _TABLE.primary_key)


class DocumentStore(Protocol):
    """A store that keeps documents permanently."""

    def index(self, documents: Iterable[Document]) -> None:
        """Create the documents or replace them."""
        ...

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id; a missing one is not a failure."""
        ...


class Indices(Protocol):
    """Names of the indices that exist."""

    def index_names(self, pattern: str) -> frozenset[str]:
        """Return the names of all indices that match a pattern."""
        ...


class ForecastSink:
    """Writes batches; the same batch may be written again."""

    def __init__(
        self,
        engine: Engine,
        documents: DocumentStore,
        indices: Indices,
        names: IndexNames,
        retention: Retention | None = None,
    ) -> None:
        self._engine = engine
        self._indices = indices
        self._retention = retention
        self._documents = documents
        self._names = names

    def standing(self, spans: Mapping[str, TimeSpan]) -> list[Forecast]:
        """Return the stored forecasts within each device's span.

        Raises:
            WarehouseError: The server did not answer.
        """
        with converted(), self._engine.connect() as connection:
            known = connection.scalars(select(_TABLE.c.condition_id).distinct()).all()
            return [
                found
                for device, span in spans.items()
                for found in _standing(connection, device, span, known)
            ]

    def keep(self, made: Sequence[Forecast]) -> None:
        """Write the rows in one transaction; the first of the three writes.

        Raises:
            WarehouseError: Nothing was changed; the same batch must be written again.
        """
        with converted(), self._engine.begin() as connection:
            for part in _parts(made):
                connection.execute(_upsert(), [asdict(f) for f in part])

    def search(self, gone: Sequence[Forecast], made: Sequence[Forecast]) -> None:
        """Delete and write the documents; the second of the three writes.

        Forecasts that are too old for Elasticsearch are not written; the table has them.

        Raises:
            ProjectionError: Not all were accepted; the same batch must be written again.
        """
        existing = self._indices.index_names(self._names.every)
        names = replace(self._names, existing=existing)
        self._documents.delete(document_of(f, names) for f in gone)
        self._documents.index(document_of(f, names) for f in self._kept(made))

    def _kept(self, made: Sequence[Forecast]) -> Sequence[Forecast]:
        if self._retention is None:
            return made
        kept = self._retention.kept()
        recent = [f for f in made if kept.keeps_forecast(f.issued_at)]
        if old := len(made) - len(recent):
            _log.info("search: %d forecasts older than [search] keep_days not written", old)
        return recent

    def drop(self, gone: Sequence[Forecast]) -> None:
        """Delete the rows of the deleted documents in one transaction; the last write.

        Raises:
            WarehouseError: Nothing was changed; the same batch must be written again.
        """
        with converted(), self._engine.begin() as connection:
            for part in _parts(gone):
                keys = [tuple(getattr(f, name) for name in _KEY) for f in part]
                connection.execute(delete(_TABLE).where(_key().in_(keys)))


def _upsert() -> Insert:
    # A statement for one row: SQLAlchemy compiles it once, and the driver joins many rows.
    statement = insert(_TABLE)
    changed = {c.name: statement.inserted[c.name] for c in _TABLE.c if c.name not in _KEY}
    return statement.on_duplicate_key_update(changed)


def _standing(
    connection: Connection, device: str, span: TimeSpan, conditions: Sequence[str]
) -> Iterator[Forecast]:
    # The filter by condition makes the index on (condition, device, instant) usable.
    at = _TABLE.c
    query = select(_TABLE).where(
        at.condition_id.in_(conditions),
        at.device_id == device,
        at.issued_at >= span.from_ms,
        at.issued_at < span.until_ms,
    )
    for row in connection.execute(query):
        yield Forecast(**row._asdict())


def _key() -> Any:
    return tuple_(*(_TABLE.c[name] for name in _KEY))


def _parts(forecasts: Sequence[Forecast]) -> Iterator[Sequence[Forecast]]:
    for at in range(0, len(forecasts), _AT_ONCE):
        yield forecasts[at : at + _AT_ONCE]
