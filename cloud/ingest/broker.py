"""Connects ingest to the broker: one connection and one shared subscription per lane.

The caller sends a message's PUBACK when the message is durable. Gateways send messages without an
ack again, so MQTT's session is not used.
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
    """A message whose PUBACK has not been sent yet.

    Attributes:
        topic: Topic as received.
        payload: The bytes.
        received_at: When it was received, ms since 1970 UTC.
        answer: Sends the PUBACK; does nothing if the connection has ended.
    """

    topic: str
    payload: bytes
    received_at: int
    answer: Callable[[], None]


class LaneLink:
    """Keeps one lane connected to the broker.

    `run` needs a thread of its own; another thread may call `take` and `publish`.
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
        """Whether the broker has accepted the subscription, and the connection still exists."""
        connection = self._connection
        return connection is not None and connection.ready

    def run(self, stop: threading.Event) -> None:
        """Connects, and reconnects whenever the connection ends, until `stop`.

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
        """Returns the next message; None after `timeout_s` seconds without one."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def publish(self, topic: str, payload: bytes) -> bool:
        """Sends at most once; returns False if there is no connection."""
        connection = self._connection
        return connection is not None and connection.publish(topic, payload)

    def _keep(self, message: Message) -> None:
        now = self._clock.utc_ms()
        self._messages.put(Inbound(message.topic, message.payload, now, message.answer))

    def _shed(self) -> None:
        """Drops messages to limit memory while connections break and the lake fails.

        Dropped messages have neither PUBACK nor ack, so the gateways send them again.
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
