"""What one device can make the broker keep: retained messages, queues, other topics."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.local.mosquitto import BrokerAccount, Mosquitto

pytestmark = pytest.mark.broker

LIMIT_S = 20.0


class Peer:
    """One client that notes the PUBACKs and the end of its connection."""

    def __init__(
        self, port: int, account: BrokerAccount, *, receive_maximum: int | None = None
    ) -> None:
        self.answers: dict[int, str] = {}
        self.granted, self.ended = threading.Event(), threading.Event()
        self.got: list[str] = []
        self._connected = threading.Event()
        client = Client(
            CallbackAPIVersion.VERSION2,
            account.name,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=receive_maximum is not None,
        )
        client.username_pw_set(account.name, account.password)
        client.max_inflight_messages_set(0)
        client.on_connect = lambda *_: self._connected.set()
        client.on_subscribe = lambda *_: self.granted.set()
        client.on_disconnect = lambda *_: self.ended.set()
        client.on_message = lambda _c, _u, message: self.got.append(message.topic)
        client.on_publish = self._on_publish
        properties = Properties(PacketTypes.CONNECT)
        if receive_maximum is not None:
            properties.ReceiveMaximum = receive_maximum
        client.connect("127.0.0.1", port, clean_start=True, properties=properties)
        client.loop_start()
        assert self._connected.wait(LIMIT_S)
        self.client = client

    def _on_publish(self, _c: object, _u: object, mid: int, reason: object, _p: object) -> None:
        self.answers[mid] = str(reason)

    def answer(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """The broker's answer to one message of QoS 1; "ended" if it ends the connection."""
        sent = self.client.publish(topic, payload, qos=1, retain=retain)
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if sent.mid in self.answers:
                return self.answers[sent.mid]
            if self.ended.is_set():
                return "ended"
            time.sleep(0.005)
        return "no answer"

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def peer(
    own_broker: Mosquitto, accounts: Mapping[str, BrokerAccount]
) -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def connect(name: str, *, receive_maximum: int | None = None) -> Peer:
        made.append(Peer(own_broker.port, accounts[name], receive_maximum=receive_maximum))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def own_broker(stack_base: Path, accounts: Mapping[str, BrokerAccount]) -> Iterator[Mosquitto]:
    server = Mosquitto.start(stack_base, list(accounts.values()))
    yield server
    server.stop()


def rss_mb(broker: Mosquitto) -> int:
    for line in Path(f"/proc/{broker.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    raise AssertionError("the broker has ended")


@pytest.mark.parametrize("lane", ["alert", "live", "backfill"])
def test_the_three_lanes_are_accepted(peer, lane: str) -> None:
    assert peer("gw-1").answer(f"dewline/v1/gw-1/up/{lane}") in (
        "Success",
        "No matching subscribers",
    )


@pytest.mark.parametrize(
    "topic", ["up/ninth", "up", "up/live/deeper", "up/live/0", "presence/x", "other"]
)
def test_other_topics_of_its_own_are_refused(peer, topic: str) -> None:
    assert peer("gw-1").answer(f"dewline/v1/gw-1/{topic}") in ("Not authorized", "ended")


def test_retained_messages_of_a_device_are_few(own_broker: Mosquitto, peer) -> None:
    """1,000 of 200 kB were 191 MB."""
    before, payload = rss_mb(own_broker), os.urandom(200_000)
    device = peer("gw-1")
    for n in range(1000):
        if device.ended.is_set():
            device = peer("gw-1")
        device.client.publish(f"dewline/v1/gw-1/up/live/{n}", payload, qos=1, retain=True)
        if n % 50 == 0:
            device.answer(f"dewline/v1/gw-1/up/live/{n}", payload, retain=True)
    for lane in ("alert", "live", "backfill"):
        peer("gw-1").answer(f"dewline/v1/gw-1/up/{lane}", payload, retain=True)
    watcher = peer("observer")
    watcher.client.subscribe("dewline/v1/gw-1/#", qos=0)
    assert watcher.granted.wait(LIMIT_S)
    time.sleep(1.0)
    print(f"broker {before} -> {rss_mb(own_broker)} MB")
    assert set(watcher.got) <= {f"dewline/v1/gw-1/up/{x}" for x in ("alert", "live", "backfill")}
    assert rss_mb(own_broker) < before + 30


def test_the_queue_of_an_ingest_that_reads_nothing_is_bounded(own_broker: Mosquitto, peer) -> None:
    """180 MB of QoS 1 arrive for it."""
    ingest = peer("ingest", receive_maximum=400)
    ingest.client.subscribe("$share/secret/dewline/v1/+/up/live", qos=1)
    assert ingest.granted.wait(LIMIT_S)
    ingest.client.loop_stop()  # its socket stays open
    before, payload = rss_mb(own_broker), os.urandom(60_000)
    device = peer("gw-1")
    for n in range(3000):
        device.client.publish("dewline/v1/gw-1/up/live", payload, qos=1)
        if n % 100 == 99:
            device.answer("dewline/v1/gw-1/up/live")
    after = rss_mb(own_broker)
    print(f"broker {before} -> {after} MB")
    assert after < before + 110
    assert not device.ended.is_set()
