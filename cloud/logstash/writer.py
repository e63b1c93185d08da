"""Writes the search projection's documents through Logstash.

Logstash answers when a document is in its queue, which is before the document is in Elasticsearch.
The projection reads clock fixes and records without a time back from Elasticsearch. These few
documents must be there when the writer returns, so they are written directly. Deletions are direct
too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from contract.records import Kind

__all__ = ["Direct", "Indices", "LogstashWriter", "is_read_back"]


class Direct(Protocol):
    """A writer that returns when Elasticsearch has stored the documents."""

    def create(self, documents: Iterable[Document]) -> None:
        """Create the documents; existing ones stay unchanged."""
        ...

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id."""
        ...


class Indices(Protocol):
    """Creates indices before Logstash writes, which would create them without their mapping."""

    def ensure_index(self, name: str) -> None:
        """Create the index unless it exists."""
        ...


class LogstashWriter:
    """Writes documents through Logstash; holds one batch at a time."""

    def __init__(
        self, sender: BatchSender, direct: Direct, indices: Indices, names: IndexNames
    ) -> None:
        self._sender = sender
        self._direct = direct
        self._indices = indices
        self._read_back = is_read_back(names)

    def create(self, documents: Iterable[Document]) -> None:
        """Send the documents in their order, batch by batch.

        Raises:
            ProjectionError: Not all of them were accepted; you can repeat the call safely.
            ConfigError: Logstash refuses for a reason that the operator must remove.
        """
        for held in _batches(documents, self._sender.limits):
            self._write(held)
            held.clear()  # before the next document is made, so that only one batch is in memory

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id.

        Raises:
            ProjectionError: Some may still exist; you can repeat the call safely.
        """
        self._direct.delete(documents)

    def _write(self, held: Sequence[Document]) -> None:
        through = [d for d in held if not self._read_back(d.index_name)]
        self._direct.create(d for d in held if self._read_back(d.index_name))
        for index in {document.index_name: None for document in through}:
            self._indices.ensure_index(index)
        self._sender.send(through)


def is_read_back(names: IndexNames) -> Callable[[str], bool]:
    """Return a function that says whether the projection reads back from an index."""
    unsynced = {names.unsynced(kind) for kind in Kind}
    fixes = f"{names.alias(Kind.CLOCK_FIX)}-"
    return lambda index: index in unsynced or index.startswith(fixes)


def _batches(documents: Iterable[Document], limits: SenderLimits) -> Iterator[list[Document]]:
    """Yield lists within the limits, each before the next document is taken from the input."""
    held: list[Document] = []
    characters = 0
    for document in documents:
        held.append(document)
        characters += len(document.body)
        if len(held) >= limits.documents or characters >= limits.characters:
            yield held
            held, characters = [], 0
    if held:
        yield held
