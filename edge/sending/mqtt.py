"""Opens one MQTT 5 connection of a gateway; the only file of the edge that imports paho.

paho's own queue and reconnect are not used: the queue is lost with the process, and the waits have
no jitter. After a failure the send loop opens a new connection and sends the unacked blocks again.
"""

import json
import logging
import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.client import DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from contract.errors import ConfigError
from contract.topics import ack_topic, desired_topic, presence_topic
from edge.configuration.config import UplinkConfig
from edge.errors import UplinkError, UplinkRefused, UplinkUnavailable
from transport.mqtt_reasons import Reason, is_lasting
from transport.tls import client_context, handshake_failure, tls_failure, wait_for_refusal

__all__ = [
    "DesiredHeard",
    "Heard",
    "Lost",
    "MqttConnection",
    "News",
    "NobodyListens",
    "Woken",
    "connect",
]

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10.0
_KEEPALIVE_S = 30
_GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Holds an ack message of the cloud."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class DesiredHeard:
    """Holds a desired state (the models that the cloud wants here), not yet decoded or checked."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class NobodyListens:
    """Reports that no ingest process subscribes: the broker has dropped a block."""


@dataclass(frozen=True, slots=True)
class Woken:
    """Reports that a block was committed, without a message from the broker."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Reports that the connection has ended.

    Attributes:
        reason: Message of the broker or the network.
        refused: Whether the broker refused an action of this device.
        taken_over: Whether the broker says that another client has connected under this name.
        abrupt: Whether the connection ended without a reason.
    """

    reason: str
    refused: bool = False
    taken_over: bool = False
    abrupt: bool = False


News = Heard | DesiredHeard | NobodyListens | Woken | Lost
_Greeting = queue.SimpleQueue[ReasonCode | Lost]


class MqttConnection:
    """A live connection; its events go into a queue, so that one thread owns all state.

    Attributes:
        max_packet_bytes: Largest packet that the broker accepts; None if it states no limit.
    """

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self.max_packet_bytes: int | None = None

    def publish(self, topic: str, payload: bytes) -> None:
        """Passes one block to MQTT, QoS 1.

        Raises:
            UplinkUnavailable: The connection has ended.
        """
        info = self._client.publish(topic, payload, qos=1)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise UplinkUnavailable(f"publish: {paho.error_string(info.rc)}")

    def close(self, presence: str | None = None) -> None:
        """Ends the connection; first publishes `offline` to the topic `presence`, if given."""
        if presence is not None and self._client.is_connected():
            info = self._client.publish(presence, _presence(online=False), qos=1, retain=True)
            if info.rc == paho.MQTT_ERR_SUCCESS:
                info.wait_for_publish(_GOODBYE_S)
        self._client.disconnect()
        self._client.loop_stop()


def connect(
    device_id: str,
    config: UplinkConfig,
    news: "queue.SimpleQueue[News]",
    *,
    desired: bool = False,
) -> MqttConnection:
    """Connects, subscribes to this device's acks, and publishes this device's presence.

    Args:
        device_id: Client id and owner of the topics.
        config: `[uplink]`.
        news: Queue for all events, filled by paho's thread.
        desired: Whether to subscribe to the desired state, too. If the broker refuses this
            subscription, a warning is logged: readings do not need models.

    Raises:
        UplinkUnavailable: There is no broker, or the broker did not answer in time.
        UplinkRefused: The broker refuses the credentials or the subscription, the credentials
            cannot be read, or the broker's certificate is wrong.
    """
    greeting: _Greeting = queue.SimpleQueue()
    client = _client(device_id, config)
    connection = MqttConnection(client)
    _wire(client, news, greeting, desired_topic(device_id), connection)
    where = f"{config.host}:{config.port}"
    try:
        client.connect(config.host, config.port, keepalive=_KEEPALIVE_S, clean_start=True)
    except (OSError, ValueError, paho.WebsocketConnectionError) as error:
        raise _unreached(where, error, secret=config.tls is not None) from error
    client.loop_start()
    try:
        _introduce(client, greeting, device_id, where, desired=desired)
    except UplinkError:
        connection.close()
        raise
    client.on_log = None  # reason codes are enough from now on; formatting log lines costs time
    # Set only now, so that the PUBACK for the presence message is not taken for a block's.
    client.on_publish = _tell_publish(news)
    return connection


def _introduce(
    client: paho.Client,
    greeting: _Greeting,
    device_id: str,
    where: str,
    *,
    desired: bool,
) -> None:
    _expect(greeting, f"{where}: connect")
    client.subscribe(ack_topic(device_id), options=SubscribeOptions(qos=1))
    _expect(greeting, f"{where}: subscribe to {ack_topic(device_id)}")
    if desired:
        _subscribe_to_desired(client, greeting, desired_topic(device_id))
    client.publish(presence_topic(device_id), _presence(online=True), qos=1, retain=True)
    _expect(greeting, f"{where}: publish to {presence_topic(device_id)}")


def _subscribe_to_desired(client: paho.Client, greeting: _Greeting, topic: str) -> None:
    client.subscribe(topic, options=SubscribeOptions(qos=1))
    try:
        _expect(greeting, f"subscribe to {topic}")
    except UplinkRefused as error:
        if not client.is_connected():
            raise
        log.warning("uplink: this gateway receives no new models: %s", error)


def _client(device_id: str, config: UplinkConfig) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=device_id,
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
    )
    client.connect_timeout = _CONNECT_TIMEOUT_S
    client.max_inflight_messages_set(config.window + 8)
    if config.username is not None:
        client.username_pw_set(config.username, _password(config))
    if config.tls is not None:
        try:  # files are read at each connection, so a renewed certificate needs no restart
            client.tls_set_context(client_context(config.tls, "[uplink]"))
            client.on_socket_open = lambda _c, _u, sock: wait_for_refusal(sock)
        except ConfigError as error:
            raise UplinkRefused(str(error)) from error
    client.will_set(presence_topic(device_id), _presence(online=False), qos=1, retain=True)
    return client


def _wire(
    client: paho.Client,
    news: "queue.SimpleQueue[News]",
    greeting: _Greeting,
    desired: str,
    connection: MqttConnection,
) -> None:
    def on_connect(_c: Any, _u: Any, _f: Any, reason: ReasonCode, properties: Any) -> None:
        connection.max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
        greeting.put(reason)

    def on_subscribe(_c: Any, _u: Any, _m: Any, reasons: list[ReasonCode], _p: Any) -> None:
        greeting.put(reasons[0])

    def on_message(_c: Any, _u: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        news.put(DesiredHeard(payload) if message.topic == desired else Heard(payload))

    def on_publish(_c: Any, _u: Any, _m: int, reason: ReasonCode, _p: Any) -> None:
        greeting.put(reason)

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.on_publish = on_publish
    _wire_end(client, news, greeting)


def _wire_end(client: paho.Client, news: "queue.SimpleQueue[News]", greeting: _Greeting) -> None:
    error = ""  # the last error in the log: it names the cause, the reason code does not

    def on_log(_c: Any, _u: Any, level: int, text: str) -> None:
        nonlocal error
        if level == paho.MQTT_LOG_ERR:
            error = text

    def on_disconnect(
        _c: Any, _u: Any, flags: DisconnectFlags, reason: ReasonCode, _p: Any
    ) -> None:
        lost = _lost(reason, error, stated=flags.is_disconnect_packet_from_server)
        greeting.put(lost)
        news.put(lost)

    client.on_log = on_log
    client.on_disconnect = on_disconnect


def _lost(reason: ReasonCode, error: str, *, stated: bool) -> Lost:
    if (failure := tls_failure(error)) is not None:
        return Lost(f"disconnected: {failure.text}", refused=failure.lasting)
    if reason.value == Reason.SESSION_TAKEN_OVER:
        return Lost("disconnected: another client connected with this name", taken_over=True)
    if not stated and not error:
        return Lost("disconnected: the connection ended without a reason", abrupt=True)
    because = f" ({error})" if error else ""
    return Lost(f"disconnected: {reason}{because}", refused=is_lasting(reason.value))


def _unreached(where: str, error: Exception, *, secret: bool) -> UplinkError:
    failure = handshake_failure(error) if secret else None
    if failure is None:
        return UplinkUnavailable(f"{where}: no connection to the broker: {error}")
    kind = UplinkRefused if failure.lasting else UplinkUnavailable
    return kind(f"{where}: {failure.text}")


def _tell_publish(news: "queue.SimpleQueue[News]") -> Callable[..., None]:
    def on_publish(_c: Any, _u: Any, _m: int, reason: ReasonCode, _p: Any) -> None:
        if reason.value == Reason.NO_MATCHING_SUBSCRIBERS:
            news.put(NobodyListens())
        elif reason.is_failure:
            news.put(Lost(f"publish: {reason}", refused=is_lasting(reason.value)))

    return on_publish


def _expect(greeting: _Greeting, what: str) -> None:
    try:
        reason = greeting.get(timeout=_CONNECT_TIMEOUT_S)
    except queue.Empty:
        raise UplinkUnavailable(
            f"{what}: the broker did not answer within {_CONNECT_TIMEOUT_S:g} s"
        ) from None
    if isinstance(reason, Lost):
        kind = UplinkRefused if reason.refused else UplinkUnavailable
        raise kind(f"{what}: {reason.reason}")
    _require_granted(reason, what)


def _require_granted(reason: ReasonCode, what: str) -> None:
    """Returns if the reason code of CONNACK, SUBACK or DISCONNECT means success; else raises."""
    if reason.is_failure and is_lasting(reason.value):
        raise UplinkRefused(f"{what}: {reason}; check this device's name, password and rights")
    if reason.is_failure or reason.packetType == PacketTypes.DISCONNECT:
        raise UplinkUnavailable(f"{what}: {reason}")


def _password(config: UplinkConfig) -> str | None:
    if config.password_file is None:
        return None
    try:
        return Path(config.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UplinkRefused(
            f"[uplink] password_file: {config.password_file} cannot be read: {error}"
        ) from error


def _presence(*, online: bool) -> str:
    return json.dumps({"online": online})
