"""Defines filters for a search server, and the values in its answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["EVERYTHING", "Filter", "Hit", "StreamCount"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter: documents whose fields have exactly these values and that lack field `missing`."""

    terms: tuple[tuple[str, str | int], ...] = ()
    missing: str | None = None

    def query(self) -> dict[str, Any]:
        """Returns the filter as query DSL."""
        body: dict[str, Any] = {"filter": [{"term": {name: v}} for name, v in self.terms]}
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
