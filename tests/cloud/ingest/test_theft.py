"""Devices that subscribe to more than their own topics take nothing from ingest."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cloud.ingest.group import GROUP_PATH, shared_group
from cloud.lake.store import FolderStore
from contract.acks import decode_ack
from contract.topics import Lane, lane_filter

pytestmark = pytest.mark.broker

BLOCKS = 40
THIEVES = ("jfk", "lga", "gw-1")


@pytest.fixture
def subscribe(broker, accounts) -> Iterator[Callable[..., None]]:
    """`subscribe(device, filter, ...)`: a connection with these subscriptions granted."""
    clients = []

    def start(name: str, *filters: str) -> None:
        granted = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set(name, accounts[name].password)
        client.on_connect = lambda c, *_: c.subscribe([(one, 1) for one in filters])
        client.on_subscribe = lambda *_: granted.set()
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        clients.append(client)
        assert granted.wait(10)

    yield start
    for client in clients:
        client.disconnect()
        client.loop_stop()


def acked(gateway, first: int, limit_s: float) -> set[int]:
    """Numbers that the cloud has acked: all of them, or what there is at the limit."""
    found: set[int] = set()
    deadline = time.monotonic() + limit_s
    while len(found) < BLOCKS and time.monotonic() < deadline:
        if gateway.acks.empty():
            time.sleep(0.02)
            continue
        for span in decode_ack(gateway.acks.get()).spans:
            found |= set(range(max(span.first, first), span.last + 1))
    return found


@pytest.mark.parametrize("thieves", [1, 3])
def test_thieves_take_no_block(run_lane, gateway, subscribe, make_payload, root, thieves) -> None:
    """They know the source code, so they try the name that ingest had, and others."""
    with run_lane(FolderStore(root)):
        for name in THIEVES[:thieves]:
            subscribe(name, lane_filter(Lane.LIVE, "ingest"), lane_filter(Lane.LIVE, "x"), "#")
        for n in range(1, BLOCKS + 1):
            gateway.send(make_payload(n, n))
        assert len(acked(gateway, 1, 10)) == BLOCKS


def test_a_thief_that_knows_the_group_would_take_blocks(
    run_lane, gateway, subscribe, make_payload, root
) -> None:
    """So the group must be secret: without that, the tests above would show nothing."""
    store = FolderStore(root)
    with run_lane(store):
        for name in THIEVES:
            subscribe(name, lane_filter(Lane.LIVE, shared_group(store)))
        for n in range(1, BLOCKS + 1):
            gateway.send(make_payload(n, n))
        assert len(acked(gateway, 1, 2)) < BLOCKS


def test_a_new_group_ends_the_theft_and_loses_nothing(
    run_lane, gateway, subscribe, make_payload, root
) -> None:
    """If the group became known: delete the file, restart ingest."""
    store = FolderStore(root)
    with run_lane(store):
        subscribe("jfk", lane_filter(Lane.LIVE, shared_group(store)))
    store.delete(GROUP_PATH)
    with run_lane(store):
        for n in range(1, BLOCKS + 1):
            gateway.send(make_payload(n, n))
        assert len(acked(gateway, 1, 10)) == BLOCKS


def test_two_processes_share_the_blocks_of_a_lake(run_lane, gateway, make_payload, root) -> None:
    with (
        run_lane(FolderStore(root), client_id="ingest-a") as one,
        run_lane(FolderStore(root), client_id="ingest-b") as two,
    ):
        for n in range(1, BLOCKS + 1):
            gateway.send(make_payload(n, n))
        assert len(acked(gateway, 1, 10)) == BLOCKS
    assert one.counters.blocks_total + two.counters.blocks_total == BLOCKS
    assert min(one.counters.blocks_total, two.counters.blocks_total) > 0
