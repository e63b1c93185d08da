"""Connects ingest to the broker: one connection and one shared subscription per lane.

The caller sends a message's PUBACK when the message is durable. Gateways send messages without an
ack again, so MQTT's session is not used.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from cloud.clock import Clock
from cloud.errors import BrokerError, LakeError
from cloud.ingest.budget import DeviceLimits
from cloud.ingest.turns import Turns
from cloud.mqtt import BrokerSettings, Connection, Message
from contract.topics import Lane, device_of, lane_filter
from transport.backoff import Backoff

__all__ = ["BrokerSettings", "Inbound", "LaneLink", "lane_turns"]

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


def lane_turns(limits: DeviceLimits, on_refused: Callable[[str], None]) -> Turns[Inbound]:
    """Returns the waiting messages of a lane, of which none waits yet.

    A refused message gets its PUBACK only: without an ack of the cloud, a gateway sends the block
    again.

    Args:
        limits: What one device may cost and hold.
        on_refused: Called with a device whose message is refused, from any thread.
    """

    def refuse(device_id: str, message: Inbound) -> None:
        message.answer()
        if device_id:
            on_refused(device_id)

    return Turns(limits, refuse)


class LaneLink:
    """Keeps one lane connected to the broker.

    `run` needs a thread of its own; another thread may call `take` and `publish`.

    Args:
        settings: The broker, and the client's identity.
        lane: The lane.
        group: Returns the group of the shared subscription; called before each connection.
        clock: Time.
        turns: The messages that wait; see `lane_turns`.
        backoff: Waits between two attempts.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        lane: Lane,
        group: Callable[[], str],
        clock: Clock,
        turns: Turns[Inbound],
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = replace(settings, client_id=f"{settings.client_id}-{lane}")
        self._lane = lane
        self._group = group
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._turns = turns
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
            except (BrokerError, LakeError) as error:
                if not error.retryable:
                    raise
                if not self._away:
                    _log.warning("lane %s: %s; trying again", self._lane, error)
                self._away = True
                self._shed()
                stop.wait(self._backoff.wait_s())

    def take(self, timeout_s: float) -> Inbound | None:
        """Returns the next message in turn; None after `timeout_s` seconds without one."""
        return self._turns.take(timeout_s)

    def charge(self, device_id: str, cpu_s: float, *, readable: bool) -> None:
        """Charges a device's budget for the check of its block."""
        self._turns.charge(device_id, cpu_s, readable=readable)

    def publish(self, topic: str, payload: bytes) -> bool:
        """Sends at most once; returns False if there is no connection."""
        connection = self._connection
        return connection is not None and connection.publish(topic, payload)

    def _keep(self, message: Message) -> None:
        now = self._clock.utc_ms()
        inbound = Inbound(message.topic, message.payload, now, message.answer)
        self._turns.offer(device_of(message.topic), inbound, len(message.payload))

    def _shed(self) -> None:
        """Drops messages to limit memory while connections break and the lake fails.

        Dropped messages have neither PUBACK nor ack, so the gateways send them again.
        """
        self._turns.shorten(self._settings.receive_maximum)

    def _connect_and_wait(self, stop: threading.Event) -> None:
        topic_filter = lane_filter(self._lane, self._group())
        connection = Connection(self._settings, self._keep, topic_filter)
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
