"""Turns: one message of each device in a round, and refusals that concern one device only."""

import threading
import time

import pytest

from cloud.ingest import turns as module
from cloud.ingest.budget import DeviceLimits
from cloud.ingest.turns import Turns

MANY = DeviceLimits(messages_per_s=1e6, bytes_per_s=1e9, held_total=1000, held_bytes=10**9)


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def refused() -> list[tuple[str, str]]:
    return []


def make(refused: list[tuple[str, str]], limits: DeviceLimits) -> tuple[Turns[str], Time]:
    clock = Time()
    return Turns(limits, lambda device, message: refused.append((device, message)), clock), clock


def all_of(turns: Turns[str]) -> list[str]:
    taken = []
    while (message := turns.take(0.0)) is not None:
        taken.append(message)
    return taken


def test_devices_take_turns_and_each_ones_order_is_kept(refused) -> None:
    turns, _ = make(refused, MANY)
    for n in range(5):
        turns.offer("flood", f"f{n}", 1)
    for device in ("a", "b"):
        for n in range(2):
            turns.offer(device, f"{device}{n}", 1)
    assert all_of(turns) == ["f0", "a0", "b0", "f1", "a1", "b1", "f2", "f3", "f4"]
    assert len(turns) == 0
    assert refused == []


def test_a_message_waits_for_one_of_each_other_device_at_most(refused) -> None:
    turns, _ = make(refused, MANY)
    for n in range(500):
        turns.offer("flood", f"f{n}", 1)
    assert turns.take(0.0) == "f0"
    turns.offer("a", "honest", 1)
    assert [turns.take(0.0) for _ in range(3)] == ["f1", "honest", "f2"]


def test_what_a_device_may_hold_is_bounded_and_others_are_not_touched(refused) -> None:
    turns, _ = make(refused, DeviceLimits(held_total=10))
    for n in range(100):
        turns.offer("flood", f"f{n}", 1)
    turns.offer("a", "a0", 1)
    assert {device for device, _ in refused} == {"flood"}
    assert len(refused) == 90
    assert "a0" in all_of(turns)


def test_large_messages_are_bounded_by_their_bytes(refused) -> None:
    turns, _ = make(refused, DeviceLimits(bytes_per_s=1e9, held_bytes=1000))
    for n in range(10):
        turns.offer("flood", f"f{n}", 300)
    assert all_of(turns) == ["f0", "f1", "f2"]
    turns.offer("flood", "again", 300)
    assert all_of(turns) == ["again"]


def test_all_devices_together_are_bounded(refused, monkeypatch) -> None:
    monkeypatch.setattr(module, "_TOTAL_BYTES", 1000)
    turns, _ = make(refused, MANY)
    for n in range(100):
        turns.offer(f"gw-{n}", str(n), 100)
    assert len(turns) == 10
    assert len(refused) == 90


def test_over_the_rate_a_device_is_refused_until_it_has_waited(refused) -> None:
    turns, clock = make(refused, DeviceLimits(messages_per_s=10, burst_s=1, held_total=1000))
    for n in range(100):
        turns.offer("flood", f"f{n}", 1)
    assert 10 <= len(all_of(turns)) <= 12
    assert not turns.offer("flood", "too early", 1)
    clock.now_s += 1.0
    assert turns.offer("flood", "again", 1)


def test_a_device_with_expensive_blocks_loses_its_turns(refused) -> None:
    turns, clock = make(refused, DeviceLimits(cpu_share=0.5, burst_s=1))
    for n in range(3):
        turns.offer("heavy", f"h{n}", 1)
        turns.offer("a", f"a{n}", 1)
    assert turns.take(0.0) == "h0"
    turns.charge("heavy", 2.7, readable=True)
    assert all_of(turns) == ["a0", "a1", "a2"]
    assert refused == [("heavy", "h1"), ("heavy", "h2")]
    clock.now_s += 6.0
    assert turns.offer("heavy", "later", 1)
    assert turns.take(0.0) == "later"


def test_take_waits_for_a_message(refused) -> None:
    turns, _ = make(refused, MANY)
    began_s = time.monotonic()
    assert turns.take(0.05) is None
    assert time.monotonic() - began_s >= 0.05
    thread = threading.Timer(0.05, turns.offer, ("a", "a0", 1))
    thread.start()
    assert turns.take(10.0) == "a0"
    thread.join()


def test_shorten_drops_down_to_a_number(refused) -> None:
    turns, _ = make(refused, MANY)
    for n in range(20):
        turns.offer("a", str(n), 1)
    turns.shorten(5)
    assert all_of(turns) == [str(n) for n in range(15, 20)]
