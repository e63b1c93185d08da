"""Questions to a search server and their answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["EVERYTHING", "Filter", "Hit", "StreamCount"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Documents whose fields have exactly these values, and lack the field `missing`."""

    terms: tuple[tuple[str, str | int], ...] = ()
    missing: str | None = None

    def query(self) -> dict[str, Any]:
        """The filter as query DSL."""
        body: dict[str, Any] = {"filter": [{"term": {name: v}} for name, v in self.terms]}
        if self.missing is not None:
            body["must_not"] = [{"exists": {"field": self.missing}}]
        return {"bool": body}


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Hit:
    """A document as it was found."""

    index: str
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StreamCount:
    """Documents of one stream: how many, and the sum of their numbers."""

    device_id: str
    stream_id: str
    documents: int
    seq_total: int
