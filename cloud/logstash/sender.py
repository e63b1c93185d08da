"""Brings documents to the intake: batch by batch, each until it is taken. Knows no HTTP library.

The same batch is repeated after everything that may pass; part of it may have been taken before,
which the key makes harmless. The next batch waits, so the first deliveries of a stream come in its
order. Order does not survive the intake: Logstash's workers run side by side.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloud.errors import ProjectionError
from cloud.logstash.envelope import batch
from cloud.search.bulk import Document
from contract.errors import ConfigError
from transport.backoff import Backoff

__all__ = ["BatchSender", "Door", "SenderLimits"]

_TAKEN = 200  # every event is in the queue
_TOO_LARGE = 413
_PASSING = (408, 429, 500, 502, 503, 504)
_WORDS = {
    401: "it does not know this account: set logstash_user and logstash_password_file to those of "
    "the http input",
    403: "it refuses this account: look at what stands before Logstash",
    404: "nothing takes documents at this path: is it the http input's address?",
}


class Door(Protocol):
    """Something that takes documents and answers with a status of HTTP."""

    def post(self, body: bytes) -> int:
        """Hand a JSON array over; ProjectionError if there is no answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """Sizes of a batch and patience with a busy intake.

    Attributes:
        documents: Most documents in one batch, and most that are held.
        characters: A batch ends once its documents have so many; well below the 20 MB that the
            pipeline takes.
        attempts: Requests for one batch before giving up.
        first_pause_s: Bound of the pause before the second attempt; it doubles each time.
        largest_pause_s: Where the doubling ends.
    """

    documents: int = 1000
    characters: int = 5_000_000
    attempts: int = 8
    first_pause_s: float = 0.2
    largest_pause_s: float = 10.0


class BatchSender:
    """Hands batches to a door."""

    def __init__(
        self,
        door: Door,
        limits: SenderLimits,
        pause: Callable[[float], None],
        source: random.Random,
    ) -> None:
        self.limits = limits
        self._door = door
        self._pause = pause
        self._source = source

    def send(self, documents: Sequence[Document]) -> None:
        """Returns once the intake has all of them in its queue.

        Raises:
            ProjectionError: It was busy or away for too long; calling again is safe.
            ConfigError: It refuses for a reason that somebody must remove.
        """
        if not documents or self._taken(documents):
            return
        if len(documents) == 1:
            raise ConfigError(
                f"Logstash takes no document as large as {documents[0].id} "
                f"({len(documents[0].body)} characters): raise max_content_length of the http "
                "input, and the limit of what stands before it"
            )
        middle = len(documents) // 2
        self.send(documents[:middle])
        self.send(documents[middle:])

    def _taken(self, documents: Sequence[Document]) -> bool:
        """Whether the batch was taken; False if it is too large."""
        body = batch(documents)
        backoff = Backoff(
            first_s=self.limits.first_pause_s,
            longest_s=self.limits.largest_pause_s,
            source=self._source,
        )
        for _ in range(self.limits.attempts - 1):
            try:
                return self._post(body)
            except ProjectionError:
                self._pause(backoff.wait_s())
        try:
            return self._post(body)
        except ProjectionError as error:
            raise ProjectionError(
                f"{len(documents)} documents not taken after {self.limits.attempts} attempts, the "
                f"first is {documents[0].id}: {error}; the cursor stays"
            ) from error

    def _post(self, body: bytes) -> bool:
        status = self._door.post(body)
        if status in _PASSING:
            raise ProjectionError(f"Logstash answers {status}: it is busy or fails")
        if status not in (_TAKEN, _TOO_LARGE):
            words = _WORDS.get(status, "expected 200; is it the http input of dewline's pipeline?")
            raise ConfigError(f"[search] logstash_url: Logstash answers {status}: {words}")
        return status == _TAKEN
