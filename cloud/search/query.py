"""Defines filters for a search server, and the values in its answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from contract.keys import UNSYNCED_DAY

__all__ = ["EVERYTHING", "Filter", "Hit", "StreamCount"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter: documents that meet all of these.

    Attributes:
        terms: Fields with exactly these values.
        missing: A field that the documents lack.
        first_day: First event day; documents without a time meet it too.
    """

    terms: tuple[tuple[str, str | int], ...] = ()
    missing: str | None = None
    first_day: date | None = None

    def query(self) -> dict[str, Any]:
        """Returns the filter as query DSL."""
        body: dict[str, Any] = {"filter": [{"term": {name: v}} for name, v in self.terms]}
        if self.first_day is not None:
            since = {"range": {"event_day": {"gte": self.first_day.isoformat()}}}
            undated = {"term": {"event_day": UNSYNCED_DAY.isoformat()}}
            body["filter"].append({"bool": {"should": [since, undated]}})
        if self.missing is not None:
            body["must_not"] = [{"exists": {"field": self.missing}}]
        return {"bool": body}


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Hit:
    """A found document."""

    index: str
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StreamCount:
    """Number of documents of one stream, and the sum of their record numbers."""

    device_id: str
    stream_id: str
    documents: int
    seq_total: int
