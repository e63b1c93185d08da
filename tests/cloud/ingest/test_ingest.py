"""The lane without a broker: order of the three steps, and what has no device."""

import logging
import threading
from collections.abc import Sequence

import pytest

from cloud.clock import SystemClock
from cloud.errors import LakeError, LakeExists
from cloud.ingest.broker import Inbound
from cloud.ingest.gather import GatherLimits
from cloud.ingest.ingest import IngestCounters, LaneIngest, summed
from cloud.lake.landing import LandingWriter
from contract.topics import Lane
from transport.backoff import Backoff

START = "1700049600000-0123abcd"


class Steps:
    """Link and store in one: writes down in which order they are used."""

    def __init__(self, messages: Sequence[tuple[str, bytes]], fail: int = 0) -> None:
        self.done: list[str] = []
        self.charged: list[tuple[str, bool, bool]] = []
        self.fail = fail
        self.stop = threading.Event()
        self._messages = list(messages)

    def take(self, timeout_s: float) -> Inbound | None:
        if not self._messages:
            self.stop.wait(timeout_s)
            return None
        topic, payload = self._messages.pop(0)
        return Inbound(topic, payload, 1_700_049_600_000, lambda: self._answer(topic))

    def charge(self, device_id: str, cpu_s: float, *, readable: bool) -> None:
        self.charged.append((device_id, cpu_s > 0, readable))

    def publish(self, topic: str, _payload: bytes) -> bool:
        self.done.append(f"ack {topic.split('/')[2]}")
        return True

    def create(self, _path: str, _data: bytes) -> None:
        if self.fail > 0:
            self.fail -= 1
            self.done.append("failed")
            raise LakeError("disk")
        self.done.append("file")

    def read(self, _path: str) -> bytes:
        return b"of another process"

    def list(self, _prefix: str) -> list[str]:
        return []

    def delete(self, path: str) -> None: ...

    def _answer(self, topic: str) -> None:
        self.done.append(f"puback {topic.split('/')[2]}")
        if not self._messages:
            self.stop.set()


def run(steps: Steps, total: int) -> LaneIngest:
    lane = LaneIngest(
        Lane.LIVE,
        steps,
        LandingWriter(steps, "node-1", START),
        SystemClock(),
        GatherLimits(wait_ms=5000, total=total),
        Backoff(first_s=0.001, longest_s=0.001),
    )
    thread = threading.Thread(target=lane.run, args=(steps.stop,))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return lane


def test_file_then_ack_then_puback() -> None:
    steps = Steps([("dewline/v1/ewr/up/live", b"a"), ("dewline/v1/jfk/up/live", b"b")])
    run(steps, total=2)
    assert steps.done == ["file", "ack ewr", "ack jfk", "puback ewr", "puback jfk"]


def test_each_block_is_charged_to_its_device() -> None:
    steps = Steps([("dewline/v1/ewr/up/live", b"a"), ("dewline/v1/BAD/up/live", b"b")])
    run(steps, total=2)
    assert steps.charged == [("ewr", True, False)]


def test_a_failing_store_is_tried_again_before_any_ack() -> None:
    steps = Steps([("dewline/v1/ewr/up/live", b"a")], fail=3)
    lane = run(steps, total=1)
    assert steps.done == ["failed", "failed", "failed", "file", "ack ewr", "puback ewr"]
    assert lane.counters.store_failures_total == 3


def test_a_message_without_a_device_is_answered_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = ("dewline/v1/Not_A_Device/up/live", b"a")
    steps = Steps([bad, ("dewline/v1/ewr/up/live", b"b"), bad, bad])
    with caplog.at_level(logging.WARNING):
        lane = run(steps, total=2)
    assert steps.done.count("file") == 1
    assert [s for s in steps.done if s.startswith("ack")] == ["ack ewr"]
    assert sum(s.startswith("puback") for s in steps.done) == 4
    assert (lane.counters.bad_topics_total, lane.counters.blocks_total) == (3, 1)
    assert len([r for r in caplog.records if "Not_A_Device" in r.message]) == 1


def test_another_process_under_the_same_start_ends_the_lane() -> None:
    class Taken(Steps):
        def create(self, path: str, _data: bytes) -> None:
            raise LakeExists(path)

    steps = Taken([("dewline/v1/ewr/up/live", b"a")])
    lane = LaneIngest(
        Lane.LIVE, steps, LandingWriter(steps, "n", START), SystemClock(), GatherLimits(total=1)
    )
    with pytest.raises(LakeExists):
        lane.run(steps.stop)
    assert steps.done == []


def test_counters_add_up() -> None:
    one, two = IngestCounters(files_total=1, acks_total=2), IngestCounters(files_total=10)
    assert summed([one, two]) == IngestCounters(files_total=11, acks_total=2)
