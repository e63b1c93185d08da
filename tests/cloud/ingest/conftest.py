"""A private broker, gateways as plain MQTT clients, and a lane of ingest in threads of its own."""

import functools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cloud.clock import SystemClock
from cloud.ingest.broker import BrokerSettings, LaneLink, lane_turns
from cloud.ingest.budget import DeviceLimits
from cloud.ingest.gather import GatherLimits
from cloud.ingest.group import shared_group
from cloud.ingest.ingest import LaneIngest
from cloud.lake.landing import LandingWriter, start_id
from cloud.lake.store import Store
from contract.blocks import Block
from contract.topics import Lane, ack_topic, up_topic
from contract.wire import encode
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from deploy.local.servers import open_folder
from tests.builders import temperatures
from transport.backoff import Backoff

LIMIT_S = 10.0


@pytest.fixture(scope="session")
def make_payload() -> Callable[[int, int], bytes]:
    """Payload of a block with numbers `first` to `last`."""

    def make(first: int, last: int) -> bytes:
        rows = range(first, last + 1)
        column = temperatures([2000 + n % 7 for n in rows], [1000 * n for n in rows])
        block = Block(
            stream_id="abcdefghijklm",
            first=first,
            offset_ms=1000 * first,
            utc_at=1_700_049_600_000 + 1000 * first,
            sensors=(column,),
        )
        return encode(block)

    return make


@pytest.fixture
def broker(accounts: Mapping[str, BrokerAccount]) -> Iterator[Mosquitto]:
    """A broker of this test's own: it may be stopped and erased."""
    with open_folder("dewline-test-") as base:
        server = Mosquitto.start(base, list(accounts.values()))
        yield server
        server.stop()


class Gateway:
    """A device: publishes blocks, collects acks, counts PUBACKs."""

    def __init__(self, account: BrokerAccount, port: int) -> None:
        self.name = account.name
        self.acks: queue.Queue[bytes] = queue.Queue()
        self.pubacked: list[int] = []
        self._subscribed = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, account.name, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.username_pw_set(account.name, account.password)
        self._client.on_connect = lambda c, *_: c.subscribe(ack_topic(account.name))
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _d, message: self.acks.put(message.payload)
        self._client.on_publish = lambda _c, _d, mid, *_: self.pubacked.append(mid)
        self._client.max_inflight_messages_set(0)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(LIMIT_S)

    def send(self, payload: bytes, lane: Lane = Lane.LIVE) -> None:
        self._client.publish(up_topic(self.name, lane), payload, qos=1)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def gateway(broker: Mosquitto, accounts: Mapping[str, BrokerAccount]) -> Iterator[Gateway]:
    gateway = Gateway(accounts["ewr"], broker.port)
    yield gateway
    gateway.stop()


class Running:
    """One lane of ingest at work."""

    def __init__(
        self,
        link: LaneLink,
        lane: LaneIngest,
        threads: list[Future[None]],
        refused: list[str],
    ) -> None:
        self.link = link
        self.refused = refused
        self.counters = lane.counters
        self.threads = threads


@pytest.fixture
def run_lane(
    broker: Mosquitto, accounts: Mapping[str, BrokerAccount], wait_until: Callable[..., None]
) -> Callable[..., AbstractContextManager[Running]]:
    @contextmanager
    def run(
        store: Store,
        lane: Lane = Lane.LIVE,
        receive_maximum: int = 100,
        password: str = "",
        client_id: str = "ingest-test",
        device_limits: DeviceLimits | None = None,
    ) -> Iterator[Running]:
        clock, stop = SystemClock(), threading.Event()
        refused: list[str] = []
        settings = BrokerSettings(
            host="127.0.0.1",
            port=broker.port,
            client_id=client_id,
            receive_maximum=receive_maximum,
            username="ingest",
            password=password or accounts["ingest"].password,
        )
        writer = LandingWriter(store, "node-1", start_id(clock.utc_ms()))
        group = functools.partial(shared_group, store)
        device_limits = device_limits or DeviceLimits(held_total=1000)
        turns = lane_turns(device_limits, refused.append)
        backoff = Backoff(first_s=0.05, longest_s=0.2)
        link = LaneLink(settings, lane, group, clock, turns, backoff)
        limits = GatherLimits(wait_ms=30, total=receive_maximum // 2)
        ingest = LaneIngest(
            lane, link, writer, clock, limits, Backoff(first_s=0.02, longest_s=0.05)
        )
        with ThreadPoolExecutor(2) as pool:
            threads = [pool.submit(link.run, stop), pool.submit(ingest.run, stop)]
            try:
                wait_until(lambda: link.connected or any(t.done() for t in threads))
                yield Running(link, ingest, threads, refused)
            finally:
                stop.set()

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"
