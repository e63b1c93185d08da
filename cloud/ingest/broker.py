"""The broker as ingest sees it: one connection and one shared subscription per lane.

The one file of the cloud that imports paho. Messages are handed out unanswered; whoever took one
answers it (PUBACK) when it is durable. A connection that broke is replaced by a new client, never
revived: an answer to a message of an old connection goes nowhere, where on a revived one it would
answer a stranger that got the same number. MQTT's session is not used (clean start): what was not
answered the gateways send again.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud.backoff import Backoff
from cloud.clock import Clock
from cloud.errors import BrokerError, BrokerRefused
from contract.topics import Lane, lane_filter

__all__ = ["BrokerSettings", "Inbound", "LaneLink"]

_KEEPALIVE_S = 30
_ANSWER_S = 10.0
_REFUSED = {
    0x84,
    0x85,
    0x86,
    0x87,
    0x8A,
    0x8C,
}  # version, client id, password, rights, banned, method

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where the broker is and who we are.

    Attributes:
        host: Name or address.
        port: TCP port.
        client_id: Begin of the client ids; the lane follows.
        receive_maximum: Messages that the broker sends before the first is answered.
        username: Account, None for none.
        password: Its password.
    """

    host: str
    port: int
    client_id: str
    receive_maximum: int
    username: str | None = None
    password: str | None = None


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
        self._settings = settings
        self._lane = lane
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._messages: queue.SimpleQueue[Inbound] = queue.SimpleQueue()
        self._connection: _Connection | None = None
        self._away = False

    @property
    def connected(self) -> bool:
        """Whether the broker has granted the subscription and not gone since."""
        connection = self._connection
        return connection is not None and connection.state is _State.SUBSCRIBED

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
                stop.wait(self._backoff.next_s())

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

    def _shed(self) -> None:
        """Keeps memory bounded when connections break while the lake takes nothing.

        What is let go was never answered nor acked: the gateways send it again.
        """
        while self._messages.qsize() > self._settings.receive_maximum:
            self.take(0.0)

    def _connect_and_wait(self, stop: threading.Event) -> None:
        connection = _Connection(self._settings, self._lane, self._clock, self._messages)
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


class _State(Enum):
    OPENING = "opening"
    SUBSCRIBED = "subscribed"
    ENDED = "ended"


class _Connection:
    """One connection from CONNECT to its end; callbacks come on paho's thread."""

    def __init__(
        self,
        settings: BrokerSettings,
        lane: Lane,
        clock: Clock,
        messages: "queue.SimpleQueue[Inbound]",
    ) -> None:
        self._settings = settings
        self._lane = lane
        self._clock = clock
        self._messages = messages
        self._changed = threading.Condition()
        self._error: BrokerError | None = None
        self.state = _State.OPENING
        self._client = self._make_client()

    def open(self) -> None:
        """Returns when the subscription is granted.

        Raises:
            BrokerRefused: The broker refuses account or subscription.
            BrokerError: It is away or does not answer.
        """
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
        properties.ReceiveMaximum = self._settings.receive_maximum
        where = f"broker {self._settings.host}:{self._settings.port}"
        try:
            self._client.connect(
                self._settings.host,
                self._settings.port,
                _KEEPALIVE_S,
                clean_start=True,
                properties=properties,
            )
            self._client.loop_start()
        except OSError as error:
            raise BrokerError(f"{where} is away: {error}") from error
        with self._changed:
            self._changed.wait_for(lambda: self.state is not _State.OPENING, _ANSWER_S)
            if self.state is not _State.SUBSCRIBED:
                raise self._error or BrokerError(f"{where} does not answer")

    def wait_for_end(self, stop: threading.Event) -> None:
        """Returns when `stop` is set. Raises BrokerError when the connection ends."""
        with self._changed:
            while not stop.is_set():
                if self._changed.wait_for(lambda: self.state is _State.ENDED, 0.2):
                    raise self._error or BrokerError("the connection ended")

    def publish(self, topic: str, payload: bytes) -> bool:
        return self._client.publish(topic, payload, qos=0).rc is MQTTErrorCode.MQTT_ERR_SUCCESS

    def close(self) -> None:
        """Ends connection and thread; may be called in any state."""
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{self._settings.client_id}-{self._lane}",
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _ANSWER_S
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _become(self, state: _State, error: BrokerError | None = None) -> None:
        with self._changed:
            self.state = state
            self._error = self._error or error
            self._changed.notify_all()

    def _on_connect(
        self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            kind = BrokerRefused if reason.value in _REFUSED else BrokerError
            who = self._settings.username or "without an account"
            self._become(_State.ENDED, kind(f"the broker refuses {who}: {reason}"))
        else:
            client.subscribe(lane_filter(self._lane), qos=1)

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            text = f"the broker refuses the subscription {lane_filter(self._lane)}: {reasons[0]}"
            self._become(_State.ENDED, BrokerRefused(text))
        else:
            self._become(_State.SUBSCRIBED)

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._become(_State.ENDED, BrokerError(f"the broker ended the connection: {reason}"))

    def _on_message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        mid, qos = message.mid, message.qos

        def answer() -> None:
            client.ack(mid, qos)

        self._messages.put(
            Inbound(message.topic, bytes(message.payload), self._clock.utc_ms(), answer)
        )
