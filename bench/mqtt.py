"""Connects the benches to the broker; the only file of the benches that imports paho."""

import queue
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.errors import BenchError

__all__ = ["Peer"]

_LIMIT_S = 20.0


class Peer:
    """Connects as an MQTT 5 client.

    Args:
        port: Port of the broker on 127.0.0.1.
        name: Account and client id.
        password: Password of the account.
        hear: Function that paho's thread calls with topic and payload of each message.
    """

    def __init__(
        self, port: int, name: str, password: str, hear: Callable[[str, bytes], None]
    ) -> None:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.username_pw_set(name, password)
        client.max_inflight_messages_set(500)
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._published: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._client = client
        _wire(client, self._answers, self._published, hear)
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._expect("Success")

    def subscribe(self, topic_filter: str) -> None:
        """Subscribes with QoS 1; returns when the broker has granted the subscription."""
        self._client.subscribe(topic_filter, qos=1)
        self._expect("Granted QoS 1")

    def publish(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Passes a message to paho's thread, which sends it."""
        self._client.publish(topic, payload, qos=qos)

    def published(self) -> str:
        """Waits for the answer to one publish with QoS 1, and returns its text."""
        return self._published.get(timeout=_LIMIT_S)

    @property
    def connected(self) -> bool:
        """True while the client is connected."""
        return self._client.is_connected()

    def close(self) -> None:
        """Disconnects from the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _expect(self, words: str) -> None:
        answer = self._answers.get(timeout=_LIMIT_S)
        if answer != words:
            raise BenchError(f"broker: expected the answer {words!r}, found {answer!r}")


def _wire(
    client: paho.Client,
    answers: "queue.SimpleQueue[str]",
    published: "queue.SimpleQueue[str]",
    hear: Callable[[str, bytes], None],
) -> None:
    def on_connect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        answers.put(str(reason))

    def on_subscribe(_c: Any, _u: Any, _m: Any, reasons: list[Any], _p: Any) -> None:
        answers.put(str(reasons[0]))

    def on_publish(_c: Any, _u: Any, _m: int, reason: Any, _p: Any) -> None:
        published.put(str(reason))

    def on_message(_c: Any, _u: Any, message: paho.MQTTMessage) -> None:
        hear(message.topic, bytes(message.payload))

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_publish = on_publish
    client.on_message = on_message
