"""Writes documents in bulk: in chunks, with a limited number of retries.

Records are written with `create` under their key, so that repeating one changes nothing. Computed
documents are written with `index`, so that a later computation replaces them. This module does not
depend on the Elasticsearch client.
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
    "RefusedDocument",
    "RefusedDocuments",
]


class Document(NamedTuple):
    """One document; a tuple for speed, because every reading makes one."""

    index_name: str
    id: str  # the record's key: device:stream:seq
    body: str  # JSON


class OutcomeKind(StrEnum):
    """Result of one item of a bulk call."""

    DONE = "done"
    EXISTS = "exists"
    REFUSED = "refused"  # the document is wrong, and a retry cannot help
    RETRY = "retry"  # the server is busy or blocked; the same item may succeed later


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one item, with the reason for REFUSED and RETRY."""

    kind: OutcomeKind
    reason: str = ""


class BulkTarget(Protocol):
    """A server that stores documents."""

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
        """Delete the documents by index and id; a missing one counts as deleted."""
        ...


class RefusedDocument(NamedTuple):
    """A document that the server refuses permanently, and the reason."""

    key: str  # the record's key
    device_id: str
    reason: str
    document: str  # JSON


class RefusedDocuments(Protocol):
    """Store for documents that the server refuses permanently."""

    def put(self, refused: Sequence[RefusedDocument]) -> None:
        """Store refused documents; repeating it is safe."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkLimits:
    """Size limits of a bulk call, and limits of its retries.

    Attributes:
        documents: Maximum of documents in one call.
        characters: Maximum of their JSON characters in one call.
        attempts: Number of calls for one chunk before it fails.
        first_pause_s: Maximum pause before the second attempt, seconds; it doubles each time.
    """

    documents: int = 2000
    characters: int = 5_000_000
    attempts: int = 5
    first_pause_s: float = 0.2


class BulkWriter:
    """Writes documents, and repeats calls until all are stored or the attempts are used up."""

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
        """Create the documents, in order, chunk by chunk; existing ones do not change.

        Raises:
            ProjectionError: The server did not store all of them; calling again is safe.
        """
        for chunk in chunks(documents, self._limits):
            self._insist(self._target.bulk_create, chunk, makes=True)

    def index(self, documents: Iterable[Document]) -> None:
        """Create the documents or replace them, in order, chunk by chunk.

        Raises:
            ProjectionError: The server did not store all of them; calling again is safe.
        """
        for chunk in chunks(documents, self._limits):
            self._insist(self._target.bulk_index, chunk, makes=True)

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id.

        Raises:
            ProjectionError: Some may still exist; calling again is safe.
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
            f"{len(chunk)} documents not stored after {self._limits.attempts} attempts, the first "
            f"is {chunk[0].id} for {chunk[0].index_name}: {reason}; the cursor stays"
        )

    def _settle(
        self, chunk: Sequence[Document], outcomes: Sequence[Outcome]
    ) -> tuple[list[Document], str]:
        open_ones, refused, reason = [], [], ""
        for document, outcome in zip(chunk, outcomes, strict=True):
            if outcome.kind is OutcomeKind.RETRY:
                open_ones.append(document)
                reason = reason or outcome.reason
            elif outcome.kind is OutcomeKind.REFUSED:
                device_id = document.id.partition(":")[0]
                refused.append(
                    RefusedDocument(document.id, device_id, outcome.reason, document.body)
                )
        if refused:
            self._refused.put(refused)
        return open_ones, reason


def chunks(documents: Iterable[Document], limits: BulkLimits) -> Iterator[list[Document]]:
    """Splits the documents into lists within the limits; a larger document has its own list."""
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
