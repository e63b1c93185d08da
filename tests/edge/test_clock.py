"""Clocks: real ones stop from a signal handler, virtual ones wait at their marks."""

import os
import signal
import threading
import time

import pytest

from edge.clock import SystemClock, VirtualClock


def test_utc_below_the_floor_is_not_believed():
    assert SystemClock(floor_ms=2**52).utc_ms() is None
    assert abs(SystemClock(floor_ms=0).utc_ms() - time.time() * 1000) < 5000


def test_a_system_clock_sleeps_until_the_instant():
    clock = SystemClock(0)
    instant_s = clock.monotonic_s() + 0.05
    assert clock.sleep_until(instant_s, lambda: pytest.fail("it knows how long it waits"))
    assert clock.monotonic_s() >= instant_s
    assert clock.sleep_until(float("-inf"), lambda: None)


def test_stop_ends_a_sleep_at_once_and_stays():
    clock = SystemClock(0)
    timer = threading.Timer(0.05, clock.stop)
    timer.start()
    began_s = time.monotonic()
    assert not clock.sleep_until(began_s + 60, lambda: None)
    assert time.monotonic() - began_s < 30
    assert not clock.sleep_until(0.0, lambda: None)


def test_stop_may_come_from_signal_handlers_at_any_moment():
    """A lock in `stop` would hang here: the handler runs in the thread that is about to wait."""
    clock = SystemClock(0)
    rounds = []

    def handler(_number, _frame):
        rounds.append(1)
        if len(rounds) > 200:
            clock.stop()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while clock.sleep_until(clock.monotonic_s() + 0.0005, lambda: None):
            pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rounds) > 200


def test_a_stop_during_a_drivers_wait_takes_effect_after_it():
    clock = SystemClock(0)
    before = signal.signal(signal.SIGUSR1, lambda *_: clock.stop())
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    began_s = time.monotonic()
    clock.sleep_s(0.1)  # as a driver waits for its chip
    signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - began_s >= 0.1
    assert not clock.sleep_until(0.0, lambda: None)


def test_a_virtual_clock_jumps_and_its_calendar_follows(new_year):
    clock = VirtualClock(new_year, new_year + 10**9, lambda _: None)
    assert clock.sleep_until(3600.0, lambda: pytest.fail("no mark on the way"))
    assert (clock.monotonic_s(), clock.utc_ms()) == (3600.0, new_year + 3_600_000)
    clock.sleep_s(0.25)
    assert clock.utc_ms() == new_year + 3_600_250
    assert clock.sleep_until(1.0, lambda: None)  # what lies behind does not turn it back
    assert clock.monotonic_s() == 3600.25


def test_a_virtual_clock_commits_and_waits_at_each_mark(new_year):
    marks = {new_year + 1000: new_year + 2000, new_year + 2000: new_year + 9000}
    said = []

    def gate(mark_ms):
        said.append(("gate", mark_ms - new_year, clock.utc_ms() - new_year))
        return marks.get(mark_ms)

    clock = VirtualClock(new_year, new_year + 1000, gate)
    assert clock.sleep_until(0.5, lambda: said.append("commit"))
    assert said == []
    assert clock.sleep_until(5.0, lambda: said.append("commit"))
    assert said == ["commit", ("gate", 1000, 1000), "commit", ("gate", 2000, 2000)]
    assert not clock.sleep_until(10.0, lambda: said.append("commit"))
    assert said[-1] == ("gate", 9000, 9000)
    assert clock.monotonic_s() == 9.0
    assert not clock.sleep_until(9.5, lambda: pytest.fail("it has stopped"))
