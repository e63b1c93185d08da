"""Writes documents in bulk: chunks, outcomes, bounded repeats. Knows no Elasticsearch client.

Records are written by `create` under their key, so that repeating one changes nothing; what is
computed, and may be computed better later, by `index` under its own.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from cloud.errors import ProjectionError
from transport.backoff import Backoff

__all__ = [
    "BulkLimits",
    "BulkTarget",
    "BulkWriter",
    "Document",
    "Outcome",
    "OutcomeKind",
    "RefusedDocuments",
]


class Document(NamedTuple):
    """One document: a plain tuple, since one is made for every reading."""

    index_name: str
    id: str  # the record's key: device:stream:seq
    body: str  # JSON


class OutcomeKind(StrEnum):
    """What became of one item of a bulk call."""

    DONE = "done"
    EXISTS = "exists"
    REFUSED = "refused"  # the document is wrong and will be wrong again
    RETRY = "retry"  # the server is busy or blocked; the same item may succeed later


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item, and for REFUSED and RETRY why."""

    kind: OutcomeKind
    reason: str = ""


class BulkTarget(Protocol):
    """A server that takes documents."""

    def ensure_index(self, name: str) -> None:
        """Create the index unless it exists."""
        ...

    def bulk_create(self, documents: Sequence[Document]) -> list[Outcome]:
        """Create the documents; one outcome each, in order."""
        ...

    def bulk_index(self, documents: Sequence[Document]) -> list[Outcome]:
        """Create the documents or replace them; one outcome each, in order."""
        ...

    def bulk_delete(self, documents: Sequence[Document]) -> list[Outcome]:
        """Delete the documents by index and id; one that is gone already counts as deleted."""
        ...


class RefusedDocuments(Protocol):
    """Where documents go that the server will never take."""

    def put(self, key: str, device_id: str, reason: str, document: str) -> None:
        """Keep a refused document; the same one may come again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkLimits:
    """Sizes of a bulk call and patience with a busy server.

    Attributes:
        documents: Most documents in one call.
        characters: Most characters of their JSON in one call.
        attempts: Calls for one chunk before giving up.
        first_pause_s: Bound of the pause before the second attempt; it doubles each time.
    """

    documents: int = 2000
    characters: int = 5_000_000
    attempts: int = 5
    first_pause_s: float = 0.2


class BulkWriter:
    """Writes documents until the server has them all or is asked too often."""

    def __init__(
        self,
        target: BulkTarget,
        refused: RefusedDocuments,
        limits: BulkLimits,
        pause: Callable[[float], None],
        source: random.Random,
    ) -> None:
        self._target = target
        self._refused = refused
        self._limits = limits
        self._pause = pause
        self._source = source

    def create(self, documents: Iterable[Document]) -> None:
        """Create the documents, in order, chunk by chunk; what is there already is left as it is.

        Raises:
            ProjectionError: The server did not take all of them; calling again is safe.
        """
        for chunk in chunks(documents, self._limits):
            self._insist(self._target.bulk_create, chunk, makes=True)

    def index(self, documents: Iterable[Document]) -> None:
        """Create the documents or replace them, in order, chunk by chunk.

        Raises:
            ProjectionError: The server did not take all of them; calling again is safe.
        """
        for chunk in chunks(documents, self._limits):
            self._insist(self._target.bulk_index, chunk, makes=True)

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id.

        Raises:
            ProjectionError: Some may still be there; calling again is safe.
        """
        for chunk in chunks(documents, self._limits):
            self._insist(self._target.bulk_delete, chunk)

    def _make_indices(self, documents: Sequence[Document]) -> None:
        for index in {document.index_name: None for document in documents}:
            self._target.ensure_index(index)

    def _insist(
        self,
        call: Callable[[Sequence[Document]], list[Outcome]],
        chunk: Sequence[Document],
        *,
        makes: bool = False,
    ) -> None:
        backoff = Backoff(first_s=self._limits.first_pause_s, source=self._source)
        for attempt in range(1, self._limits.attempts + 1):
            try:
                if makes:
                    self._make_indices(chunk)
                chunk, reason = self._settle(chunk, call(chunk))
            except ProjectionError as error:
                if not error.retryable or attempt == self._limits.attempts:
                    raise
                reason = str(error)
            if not chunk:
                return
            if attempt < self._limits.attempts:
                self._pause(backoff.wait_s())
        raise ProjectionError(
            f"{len(chunk)} documents not taken after {self._limits.attempts} attempts, the first "
            f"is {chunk[0].id} for {chunk[0].index_name}: {reason}; the cursor stays"
        )

    def _settle(
        self, chunk: Sequence[Document], outcomes: Sequence[Outcome]
    ) -> tuple[list[Document], str]:
        open_ones, reason = [], ""
        for document, outcome in zip(chunk, outcomes, strict=True):
            if outcome.kind is OutcomeKind.RETRY:
                open_ones.append(document)
                reason = reason or outcome.reason
            elif outcome.kind is OutcomeKind.REFUSED:
                device_id = document.id.partition(":")[0]
                self._refused.put(document.id, device_id, outcome.reason, document.body)
        return open_ones, reason


def chunks(documents: Iterable[Document], limits: BulkLimits) -> Iterator[list[Document]]:
    """The documents in lists within the limits; one that is over them alone has its own list."""
    chunk: list[Document] = []
    characters = 0
    for document in documents:
        size = len(document.body)
        full = len(chunk) >= limits.documents or characters + size > limits.characters
        if chunk and full:
            yield chunk
            chunk, characters = [], 0
        chunk.append(document)
        characters += size
    if chunk:
        yield chunk
