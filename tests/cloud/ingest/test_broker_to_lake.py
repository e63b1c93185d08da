"""Ingest over a real broker: what is acked stands in the lake, and nothing is acked before."""

import threading
import time
from pathlib import Path
from queue import Empty

import pytest

from cloud.errors import BrokerRefused, LakeError
from cloud.lake.positions import Cursor
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from contract.acks import Ack, decode_ack
from contract.keys import payload_digest
from contract.records import Span
from contract.topics import Lane
from deploy.local.mosquitto import Mosquitto

pytestmark = pytest.mark.broker
STREAM = "abcdefghijklm"


class GatedStore(FolderStore):
    """A store whose disk hangs for landing files until `gate` opens."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.waiting = threading.Event()

    def create(self, path: str, data: bytes) -> None:
        if path.startswith("landing/"):
            self.waiting.set()
            assert self.gate.wait(30)
        super().create(path, data)


class FullStore(FolderStore):
    """A store whose disk is full until somebody makes room."""

    full = True

    def create(self, path: str, data: bytes) -> None:
        if self.full and path.startswith("landing/"):
            raise LakeError("no space left")
        super().create(path, data)


def landed(root: Path) -> list[bytes]:
    reader = LakeReader(FolderStore(root), RawTable(root / "raw"))
    return [b.payload for f in reader.after(Cursor()) for b in f.blocks]


def test_blocks_land_as_they_came_and_are_acked(run_lane, gateway, make_payload, root) -> None:
    payloads = [make_payload(1 + 10 * i, 10 + 10 * i) for i in range(5)]
    with run_lane(FolderStore(root)) as running:
        for payload in payloads:
            gateway.send(payload)
        spans: list[Span] = []
        while sum(s.last - s.first + 1 for s in spans) < 50:
            spans += decode_ack(gateway.acks.get(timeout=10)).spans
    assert landed(root) == payloads
    assert running.counters.blocks_total == 5
    covered = [n for s in spans for n in range(s.first, s.last + 1)]
    assert covered == list(range(1, 51))


def test_no_ack_before_the_file_is_committed(run_lane, gateway, make_payload, root) -> None:
    store = GatedStore(root)
    with run_lane(store):
        gateway.send(make_payload(1, 8))
        assert store.waiting.wait(10)
        with pytest.raises(Empty):
            gateway.acks.get(timeout=0.7)
        assert landed(root) == []
        store.gate.set()
        assert decode_ack(gateway.acks.get(timeout=10)) == Ack(
            spans=(Span(stream_id=STREAM, first=1, last=8),)
        )
        assert landed(root) == [make_payload(1, 8)]


def test_a_full_disk_acks_nothing_and_loses_nothing(
    run_lane, gateway, make_payload, root, wait_until
) -> None:
    store = FullStore(root)
    with run_lane(store) as running:
        gateway.send(make_payload(1, 8))
        wait_until(lambda: running.counters.store_failures_total >= 3)
        assert gateway.acks.empty()
        store.full = False
        assert decode_ack(gateway.acks.get(timeout=10)).spans[0].last == 8
    assert landed(root) == [make_payload(1, 8)]


def test_ingest_waits_for_a_lake_that_has_no_room_for_the_group(
    run_lane, gateway, make_payload, root, caplog
) -> None:
    """It subscribes to nothing before, so gateways hear that no process receives blocks."""

    class NoRoom(FolderStore):
        full = True

        def create(self, path: str, data: bytes) -> None:
            if self.full:
                raise LakeError("no space left")
            super().create(path, data)

    store = NoRoom(root)

    def make_room() -> None:
        assert "lane live: no space left; trying again" in caplog.text
        store.full = False

    timer = threading.Timer(1.0, make_room)
    timer.start()
    with run_lane(store):
        assert not store.full
        gateway.send(make_payload(1, 8))
        assert decode_ack(gateway.acks.get(timeout=10)).spans[0].last == 8
    timer.join()


@pytest.mark.parametrize("payload", [b"", b"\x00garbage", b"\x01" + bytes(1000), b"\x09" * 190_000])
def test_what_cannot_be_decoded_lands_and_is_acked_by_digest(
    run_lane, gateway, make_payload, root, payload: bytes
) -> None:
    with run_lane(FolderStore(root)) as running:
        gateway.send(payload)
        ack = decode_ack(gateway.acks.get(timeout=10))
        gateway.send(make_payload(1, 8))  # the queue is not blocked
        assert decode_ack(gateway.acks.get(timeout=10)).spans[0].last == 8
    assert ack == Ack(digests=(payload_digest(payload),))
    assert landed(root) == [payload, make_payload(1, 8)]
    assert running.counters.undecodable_total == 1


def test_the_broker_hands_out_no_more_than_the_receive_maximum(
    run_lane, gateway, make_payload, root, wait_until
) -> None:
    store = GatedStore(root)
    with run_lane(store, receive_maximum=60) as running:
        for i in range(200):
            gateway.send(make_payload(1 + i, 1 + i))
        wait_until(lambda: len(gateway.pubacked) == 200)
        assert store.waiting.wait(10)
        # half of the maximum or less is in the blocked commit, the rest waits in our queue
        wait_until(lambda: len(running.link._turns) >= 30)
        time.sleep(0.3)  # would be enough for all 200
        assert len(running.link._turns) < 60
        store.gate.set()
        wait_until(lambda: running.counters.blocks_total == 200)
    assert len(set(landed(root))) == 200


def test_a_broker_that_was_erased_and_started_again_is_found(
    run_lane, gateway, broker: Mosquitto, make_payload, root, wait_until
) -> None:
    with run_lane(FolderStore(root)) as running:
        broker.stop()
        wait_until(lambda: not running.link.connected)
        broker.restart(erase=True)
        wait_until(lambda: running.link.connected)
        wait_until(gateway._client.is_connected)
        gateway.send(make_payload(1, 8))
        assert decode_ack(gateway.acks.get(timeout=10)).spans[0].last == 8


def test_what_was_committed_while_the_broker_was_away_is_acked_when_it_comes_again(
    run_lane, gateway, broker: Mosquitto, make_payload, root, wait_until
) -> None:
    """An answer that belongs to the old connection must not end up on the new one."""
    store = GatedStore(root)
    with run_lane(store) as running:
        gateway.send(make_payload(1, 8))
        assert store.waiting.wait(10)
        broker.restart(erase=True)
        wait_until(lambda: running.link.connected and gateway._client.is_connected())
        gateway.send(make_payload(9, 16))
        store.gate.set()
        wait_until(lambda: running.counters.blocks_total >= 2)
    assert set(landed(root)) == {make_payload(1, 8), make_payload(9, 16)}


def test_a_wrong_password_is_refused_and_not_tried_again(run_lane, root) -> None:
    with (
        run_lane(FolderStore(root), password="wrong") as running,
        pytest.raises(BrokerRefused, match="ingest"),
    ):
        running.threads[0].result(timeout=10)


def test_lanes_do_not_mix(run_lane, gateway, make_payload, root) -> None:
    with run_lane(FolderStore(root), lane=Lane.ALERT):
        gateway.send(make_payload(1, 8), Lane.LIVE)
        gateway.send(make_payload(9, 9), Lane.ALERT)
        assert decode_ack(gateway.acks.get(timeout=10)).spans[0].first == 9
    assert landed(root) == [make_payload(9, 9)]
    assert all("/alert/" in path for path in FolderStore(root).list("landing/"))
