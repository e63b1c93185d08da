"""Sends documents to the intake, Logstash's http input, batch by batch.

A batch is sent again after each failure that may pass. Logstash may have accepted a part of the
batch before; each document's id makes the repetition harmless. The next batch waits, so the first
deliveries keep the order of a stream. Behind the intake, Logstash's workers run in parallel and do
not keep the order.
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

__all__ = ["BatchSender", "HttpInput", "SenderLimits"]

_TAKEN = 200  # every event is in the queue
_TOO_LARGE = 413
_FAILS = "Logstash, or a proxy before it, fails: read its log"
_PASSING = {
    408: _FAILS,
    429: "its queue is full, or another program's post takes longer than 10 s; if this remains, "
    "check that Elasticsearch takes documents",
    500: _FAILS,
    502: _FAILS,
    503: _FAILS,
    504: _FAILS,
}
_WORDS = {
    401: "the account is unknown: set logstash_user and logstash_password_file to those of the "
    "http input",
    403: "a proxy before Logstash refuses this account: check the proxy's configuration",
    404: "nothing accepts documents at this path: is this the http input's address?",
}


class HttpInput(Protocol):
    """An endpoint that accepts documents and answers with an HTTP status."""

    def post(self, body: bytes) -> int:
        """Post a JSON array and return the status; ProjectionError if there is no answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """Limits of a batch and of its attempts.

    Attributes:
        documents: Most documents in one batch, and most that are held in memory.
        characters: A batch ends when its documents have this many characters; well below the
            20 MB that the pipeline accepts.
        attempts: Requests for one batch before the sender gives up.
        first_pause_s: Upper bound of the pause before the second attempt, seconds; it doubles
            with each attempt.
        largest_pause_s: Largest value of this bound, seconds.
    """

    documents: int = 1000
    characters: int = 5_000_000
    attempts: int = 8
    first_pause_s: float = 0.2
    largest_pause_s: float = 10.0


class BatchSender:
    """Sends batches to the intake."""

    def __init__(
        self,
        http_input: HttpInput,
        limits: SenderLimits,
        pause: Callable[[float], None],
        source: random.Random,
    ) -> None:
        self.limits = limits
        self._http_input = http_input
        self._pause = pause
        self._source = source

    def send(self, documents: Sequence[Document]) -> None:
        """Send the documents; return when all of them are in the intake's queue.

        Raises:
            ProjectionError: The intake was busy or unreachable for too long; you can repeat
                the call safely.
            ConfigError: The intake refuses for a reason that the operator must remove.
        """
        if not documents or self._taken(documents):
            return
        if len(documents) == 1:
            raise ConfigError(
                f"Logstash accepts no document as large as {documents[0].id} "
                f"({len(documents[0].body)} characters): raise max_content_length of the http "
                "input, and the size limit of a proxy before it"
            )
        middle = len(documents) // 2
        self.send(documents[:middle])
        self.send(documents[middle:])

    def _taken(self, documents: Sequence[Document]) -> bool:
        """Send a batch; return False if it is too large."""
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
                f"{len(documents)} documents not accepted after {self.limits.attempts} attempts, "
                f"the first is {documents[0].id}: {error}; the cursor does not move"
            ) from error

    def _post(self, body: bytes) -> bool:
        status = self._http_input.post(body)
        if status in _PASSING:
            raise ProjectionError(f"Logstash answers {status}: {_PASSING[status]}")
        if status not in (_TAKEN, _TOO_LARGE):
            words = _WORDS.get(status, "expected 200; is this the http input of dewline?")
            raise ConfigError(f"[search] logstash_url: Logstash answers {status}: {words}")
        return status == _TAKEN
