"""The broker as ingest sees it: one connection and one shared subscription per lane.

Messages are handed out unanswered; whoever took one answers it (PUBACK) when it is durable. What
was not answered the gateways send again: MQTT's session is not used.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from cloud.clock import Clock
from cloud.errors import BrokerError
from cloud.mqtt import BrokerSettings, Connection, Message
from contract.topics import Lane, lane_filter
from transport.backoff import Backoff

__all__ = ["BrokerSettings", "Inbound", "LaneLink"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that waits for its answer.

    Attributes:
        topic: Topic as received.
        payload: The bytes.
        received_at: When it was taken, ms since 1970 UTC.
        answer: Sends the PUBACK; does nothing if the connection has gone.
    """

    topic: str
    payload: bytes
    received_at: int
    answer: Callable[[], None]


class LaneLink:
    """Keeps one lane connected; the one owner of that lane's connection.

    `run` belongs to a thread of its own; `take` and `publish` may be called from another.
    """

    def __init__(
        self, settings: BrokerSettings, lane: Lane, clock: Clock, backoff: Backoff | None = None
    ) -> None:
        self._settings = replace(settings, client_id=f"{settings.client_id}-{lane}")
        self._lane = lane
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._messages: queue.SimpleQueue[Inbound] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._away = False

    @property
    def connected(self) -> bool:
        """Whether the broker has granted the subscription and not gone since."""
        connection = self._connection
        return connection is not None and connection.ready

    def run(self, stop: threading.Event) -> None:
        """Connects, and again whenever the connection ends, until `stop`.

        Raises:
            BrokerRefused: The broker refuses the account or the subscription.
        """
        while not stop.is_set():
            try:
                self._connect_and_wait(stop)
            except BrokerError as error:
                if not error.retryable:
                    raise
                if not self._away:
                    _log.warning("lane %s: %s; trying again", self._lane, error)
                self._away = True
                self._shed()
                stop.wait(self._backoff.wait_s())

    def take(self, timeout_s: float) -> Inbound | None:
        """The next message, None after `timeout_s` without one."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def publish(self, topic: str, payload: bytes) -> bool:
        """Sends at most once; False if there is no connection to send it on."""
        connection = self._connection
        return connection is not None and connection.publish(topic, payload)

    def _keep(self, message: Message) -> None:
        now = self._clock.utc_ms()
        self._messages.put(Inbound(message.topic, message.payload, now, message.answer))

    def _shed(self) -> None:
        """Keeps memory bounded when connections break while the lake takes nothing.

        What is let go was never answered nor acked: the gateways send it again.
        """
        while self._messages.qsize() > self._settings.receive_maximum:
            self.take(0.0)

    def _connect_and_wait(self, stop: threading.Event) -> None:
        connection = Connection(self._settings, self._keep, lane_filter(self._lane))
        try:
            connection.open()
            self._connection = connection
            if self._away:
                _log.info("lane %s: connected again", self._lane)
            self._away = False
            self._backoff.reset()
            connection.wait_for_end(stop)
        finally:
            self._connection = None
            connection.close()
