"""Runs one MQTT 5 connection of the cloud, from CONNECT to its end.

A broken connection is never reconnected, but replaced
by a new object. So a late PUBACK for a message of the old connection is dropped; on the same
connection it could confirm another message with the same packet id. MQTT's session is not used
(clean start).
"""

import functools
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from ssl import SSLContext
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud.errors import BrokerError, BrokerRefused
from cloud.mqtt_client import MessageClient
from cloud.mqtt_publish import Publish
from contract.errors import ConfigError
from transport.mqtt_reasons import is_lasting
from transport.tls import (
    TlsFailure,
    TlsFiles,
    client_context,
    handshake_failure,
    tls_failure,
    wait_for_refusal,
)

__all__ = ["BrokerSettings", "Connection", "Message"]

_KEEPALIVE_S = 30
_ANSWER_S = 10.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Address of the broker, and the client's identity.

    Attributes:
        host: Name or address.
        port: TCP port.
        client_id: Id of the client, or the prefix of several clients' ids.
        receive_maximum: Messages that the broker sends before it waits for an answer.
        username: Account; None for no account, or for the name in the certificate.
        password: Password of the account.
        tls: Files of TLS; None for plain TCP.
    """

    host: str
    port: int
    client_id: str
    receive_maximum: int = 20
    username: str | None = None
    password: str | None = None
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A received message.

    Attributes:
        topic: Topic as received.
        payload: The bytes.
        answer: Sends the PUBACK; does nothing if the connection has ended.
    """

    topic: str
    payload: bytes
    answer: Callable[[], None]


class _State(Enum):
    OPENING = "opening"
    READY = "ready"
    ENDED = "ended"


class Connection:
    """A connection; messages arrive on paho's thread, methods are called from other threads.

    Args:
        settings: The broker, and the client's identity.
        on_message: Called with every message, on paho's thread.
        topic_filter: Topic filter to subscribe to with QoS 1; None for no subscription.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        on_message: Callable[[Message], None] | None = None,
        topic_filter: str | None = None,
    ) -> None:
        self._settings = settings
        self._filter = topic_filter
        self._on_message = on_message
        self._changed = threading.Condition()
        self._error: BrokerError | None = None
        self._log_error = ""  # cause of a lost connection, which a disconnect's reason lacks
        self._state = _State.OPENING
        self._answers: dict[int, ReasonCode] = {}
        self._client = self._make_client()

    @property
    def ready(self) -> bool:
        """Whether the broker has accepted connection and subscription, and both still exist."""
        return self._state is _State.READY

    def open(self) -> None:
        """Connects; returns when the broker has accepted connection and subscription.

        Raises:
            BrokerRefused: The broker refuses account, certificate or subscription, the broker's
                certificate is not trusted, or a file of ours cannot be used.
            BrokerError: The broker cannot be reached, or does not answer.
        """
        where = f"broker {self._settings.host}:{self._settings.port}"
        self._connect(where)
        with self._changed:
            self._changed.wait_for(lambda: self._state is not _State.OPENING, _ANSWER_S)
            if self._state is not _State.READY:
                raise self._error or BrokerError(f"{where} does not answer")
        self._client.on_log = None  # otherwise paho formats a log line for each message

    def _connect(self, where: str) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
        properties.ReceiveMaximum = self._settings.receive_maximum
        if self._settings.tls is not None:
            # Read for each connection, so that the next one uses a renewed certificate.
            self._client.tls_set_context(_context(self._settings.tls, where))
            self._client.on_socket_open = lambda _c, _d, sock: wait_for_refusal(sock)
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
            failure = handshake_failure(error) if self._settings.tls is not None else None
            raise _failed(where, f"cannot be reached: {error}", failure) from error

    def wait_for_end(self, stop: threading.Event, limit_s: float | None = None) -> None:
        """Returns when `stop` is set or after `limit_s`.

        Raises:
            BrokerError: The connection ended.
        """
        left_s = limit_s
        with self._changed:
            while not stop.is_set() and (left_s is None or left_s > 0.0):
                look_s = _LOOK_S if left_s is None else min(_LOOK_S, left_s)
                if self._changed.wait_for(lambda: self._state is _State.ENDED, look_s):
                    raise self._error or BrokerError("the connection ended")
                left_s = None if left_s is None else left_s - look_s

    def publish(self, topic: str, payload: bytes) -> bool:
        """Sends at most once; returns False if the connection has ended."""
        return self._client.publish(topic, payload, qos=0).rc is MQTTErrorCode.MQTT_ERR_SUCCESS

    def retain(self, messages: Mapping[str, bytes]) -> None:
        """Publishes one retained message per topic; returns when all are confirmed (QoS 1).

        After an error, some of the messages may be retained already.

        Raises:
            BrokerRefused: The account may not publish on a topic.
            BrokerError: The connection ended, or the broker does not answer.
        """
        # Set only now, because paho calls on_publish for QoS 0 too, and no code waits for those.
        self._client.on_publish = self._on_publish
        waiting: dict[int, str] = {}
        for topic, payload in messages.items():
            sent = self._client.publish(topic, payload, qos=1, retain=True)
            if sent.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise self._error or BrokerError("the connection ended")
            waiting[sent.mid] = topic
        while waiting:
            mid, reason = self._next_answer()
            topic = waiting.pop(mid, "")
            if reason.is_failure:
                raise BrokerRefused(f"the broker refuses a message on {topic}: {reason}")

    def close(self) -> None:
        """Closes the connection and ends its thread; allowed in any state."""
        self._client.disconnect()
        self._client.loop_stop()

    def _next_answer(self) -> tuple[int, ReasonCode]:
        with self._changed:
            self._changed.wait_for(
                lambda: self._answers or self._state is _State.ENDED, timeout=_ANSWER_S
            )
            if not self._answers:
                raise self._error or BrokerError("the broker does not confirm published messages")
            return self._answers.popitem()

    def _make_client(self) -> MessageClient:
        client = MessageClient(
            self._on_publish_packet,
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _ANSWER_S
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _become(self, state: _State, error: BrokerError | None = None) -> None:
        with self._changed:
            self._state = state
            self._error = self._error or error
            self._changed.notify_all()

    def _on_connect(
        self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            kind = BrokerRefused if is_lasting(reason.value) else BrokerError
            tls = self._settings.tls
            who = self._settings.username or (tls and tls.certificate_file) or "without an account"
            self._become(_State.ENDED, kind(f"the broker refuses {who}: {reason}"))
        elif self._filter is None:
            self._become(_State.READY)
        else:
            client.subscribe(self._filter, qos=1)

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            text = f"the broker refuses the subscription {_shown(self._filter)}: {reasons[0]}"
            self._become(_State.ENDED, BrokerRefused(text))
        else:
            self._become(_State.READY)

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        because = f"{reason} ({self._log_error})" if self._log_error else str(reason)
        error = _failed("the broker", f"ended the connection: {because}", tls_failure(because))
        self._become(_State.ENDED, error)

    def _on_log(self, _client: Client, _data: Any, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._log_error = text

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        with self._changed:
            self._answers[mid] = reason
            self._changed.notify_all()

    def _on_publish_packet(self, message: Publish) -> None:
        answer = functools.partial(self._client.answer, message.packet_id)
        if self._on_message is not None:
            self._on_message(Message(message.topic, message.payload, answer))


def _shown(topic_filter: str | None) -> str:
    """Returns the filter without the group of a shared subscription, which is secret."""
    return re.sub(r"^\$share/[^/]*/", "$share/.../", topic_filter or "")


def _context(files: TlsFiles, where: str) -> SSLContext:
    try:
        return client_context(files, f"{where}:")
    except ConfigError as error:
        raise BrokerRefused(str(error)) from error


def _failed(what: str, error: str, failure: TlsFailure | None) -> BrokerError:
    if failure is None:
        return BrokerError(f"{what} {error}")
    kind = BrokerRefused if failure.lasting else BrokerError
    return kind(f"{what}: {failure.text}")
