"""The search projection's second writer: documents through Logstash, what is read back directly.

Logstash answers when a document is in its queue and not when it is in Elasticsearch. The projection
asks Elasticsearch for clock fixes and for records without a time; those must be there when the
writer returns, and so go the direct way. They are few. Deletions go it as well.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from contract.records import Kind

__all__ = ["Direct", "Indices", "LogstashWriter", "is_read_back"]


class Direct(Protocol):
    """A writer that returns when Elasticsearch has it."""

    def create(self, documents: Iterable[Document]) -> None:
        """Create the documents; what is there already is left as it is."""
        ...

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id."""
        ...


class Indices(Protocol):
    """Where indices are made: Logstash must find them, it would make them without their mapping."""

    def ensure_index(self, name: str) -> None:
        """Create the index unless it exists."""
        ...


class LogstashWriter:
    """Writes documents by way of Logstash; holds one batch at a time."""

    def __init__(
        self, sender: BatchSender, direct: Direct, indices: Indices, names: IndexNames
    ) -> None:
        self._sender = sender
        self._direct = direct
        self._indices = indices
        self._read_back = is_read_back(names)

    def create(self, documents: Iterable[Document]) -> None:
        """Hand the documents on, in order, batch by batch.

        Raises:
            ProjectionError: Not all of them were taken; calling again is safe.
            ConfigError: Logstash refuses for a reason that somebody must remove.
        """
        for held in _batches(documents, self._sender.limits):
            self._write(held)
            held.clear()  # before the next document is made: one batch is held and not two

    def delete(self, documents: Iterable[Document]) -> None:
        """Delete the documents by index and id.

        Raises:
            ProjectionError: Some may still be there; calling again is safe.
        """
        self._direct.delete(documents)

    def _write(self, held: Sequence[Document]) -> None:
        through = [d for d in held if not self._read_back(d.index_name)]
        self._direct.create(d for d in held if self._read_back(d.index_name))
        for index in {document.index_name: None for document in through}:
            self._indices.ensure_index(index)
        self._sender.send(through)


def is_read_back(names: IndexNames) -> Callable[[str], bool]:
    """Tells the indices that the projection itself asks, by their names."""
    unsynced = {names.unsynced(kind) for kind in Kind}
    fixes = f"{names.alias(Kind.CLOCK_FIX)}-"
    return lambda index: index in unsynced or index.startswith(fixes)


def _batches(documents: Iterable[Document], limits: SenderLimits) -> Iterator[list[Document]]:
    """Lists within the limits, each handed out before the next document is asked for."""
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
