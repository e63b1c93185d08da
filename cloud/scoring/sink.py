"""Where forecasts go: table `cloud_prediction`, and Elasticsearch beside it.

A batch says what the forecasts of a span of time are: what stands there and is none of them is
removed, since a late reading may move a step's completion to another key. The table is asked what
stands, so it must never know less than Elasticsearch: a row is written before its document and
deleted after it. Then a batch that was broken off anywhere leaves nothing that the next one, be it
another batch, does not find and remove.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, delete, select, tuple_
from sqlalchemy.dialects.mysql import Insert, insert

from cloud.forecast import Forecast
from cloud.scoring.documents import document_of
from cloud.scoring.forecast import TimeSpan
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS

__all__ = ["DocumentStore", "ForecastSink"]

_AT_ONCE = 1000
_TABLE = CLOUD_PREDICTIONS
_KEY = tuple(column.name for column in _TABLE.primary_key)


class DocumentStore(Protocol):
    """What takes documents for good."""

    def index(self, documents: Iterable[Document]) -> None:
        """Create the documents or replace them."""
        ...

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id; one that is gone is no failure."""
        ...


class ForecastSink:
    """Writes batches; the same one may come again."""

    def __init__(self, engine: Engine, documents: DocumentStore, names: IndexNames) -> None:
        self._engine = engine
        self._documents = documents
        self._names = names

    def standing(self, spans: Mapping[str, TimeSpan]) -> list[Forecast]:
        """What stands in the table within each device's span.

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
        """First: the rows, in one transaction.

        Raises:
            WarehouseError: Nothing was changed; the same batch must come again.
        """
        with converted(), self._engine.begin() as connection:
            for part in _parts(made):
                connection.execute(_upsert(), [asdict(f) for f in part])

    def search(self, gone: Sequence[Forecast], made: Sequence[Forecast]) -> None:
        """Second: the documents.

        Raises:
            ProjectionError: Not everything was taken; the same batch must come again.
        """
        self._documents.delete(document_of(f, self._names) for f in gone)
        self._documents.index(document_of(f, self._names) for f in made)

    def drop(self, gone: Sequence[Forecast]) -> None:
        """Last: the rows whose documents are deleted, in one transaction.

        Raises:
            WarehouseError: Nothing was changed; the same batch must come again.
        """
        with converted(), self._engine.begin() as connection:
            for part in _parts(gone):
                keys = [tuple(getattr(f, name) for name in _KEY) for f in part]
                connection.execute(delete(_TABLE).where(_key().in_(keys)))


def _upsert() -> Insert:
    # One row's statement for many rows: the driver makes one of it, and it is compiled once.
    statement = insert(_TABLE)
    changed = {c.name: statement.inserted[c.name] for c in _TABLE.c if c.name not in _KEY}
    return statement.on_duplicate_key_update(changed)


def _standing(
    connection: Connection, device: str, span: TimeSpan, conditions: Sequence[str]
) -> Iterator[Forecast]:
    # By condition, so that the index on (condition, device, instant) serves.
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
