"""Provides time to the sense loop: monotonic seconds and UTC.

The two are never mixed. Intervals, deadlines and order use the monotonic time. UTC is data, and is
None as long as the system clock is not trusted. The send loop has its own clock (`real_s`), so
that a virtual sense clock never changes a timeout.
"""

import queue
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["SenseClock", "SystemClock", "VirtualClock", "real_s"]


class SenseClock(Protocol):
    """The clock of the sense loop, its drivers and its records."""

    def monotonic_s(self) -> float:
        """Returns seconds that never run backwards, from an arbitrary origin."""
        ...

    def utc_ms(self) -> int | None:
        """Returns milliseconds since 1970 UTC; None while the clock is not trusted."""
        ...

    def sleep_s(self, seconds: float) -> None:
        """Waits a short time; a driver waits for its chip."""
        ...

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        """Waits until a time; returns false, at once, if the loop must stop.

        Args:
            monotonic_s: The time, monotonic seconds.
            before_wait: Called before a wait of unknown length (a virtual clock's mark).
        """
        ...


def real_s() -> float:
    """Returns real monotonic seconds, for acks, waits before a retry, lanes and the stop."""
    return time.monotonic()


class SystemClock:
    """Reads the machine's clocks. UTC before `floor_ms` is not trusted.

    A Pi without a battery-backed clock starts with a date in the past; the floor detects this.
    """

    def __init__(self, floor_ms: int) -> None:
        self._floor_ms = floor_ms
        # Not an Event: a signal handler that sets one while its own thread begins to wait would
        # deadlock. SimpleQueue.put is safe in a signal handler.
        self._stops: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopped = False

    def monotonic_s(self) -> float:
        """Returns monotonic seconds; a change of the system clock has no effect."""
        return time.monotonic()

    def utc_ms(self) -> int | None:
        """Returns milliseconds since 1970 UTC; None before the floor."""
        now_ms = time.time_ns() // 1_000_000
        return now_ms if now_ms >= self._floor_ms else None

    def sleep_s(self, seconds: float) -> None:
        """Sleeps in real time."""
        time.sleep(seconds)

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        """Sleeps until the time or a `stop`; returns false after a `stop`."""
        del before_wait  # the wait's length is known
        if not self._stopped:
            try:
                self._stops.get(timeout=max(0.0, monotonic_s - time.monotonic()))
                self._stopped = True
            except queue.Empty:
                pass  # the time is reached
        return not self._stopped

    def stop(self) -> None:
        """Makes the sense loop stop cleanly; safe from any thread and from signal handlers."""
        self._stops.put(None)


class VirtualClock:
    """Jumps to the time that the loop waits for, but not beyond a mark that a gate moves.

    Recordings run through the same code as real sensors, as fast as the machine can. At a mark the
    clock waits in real time: `gate` is called with the mark and returns the next one, or None to
    stop.
    """

    def __init__(self, start_ms: int, mark_ms: int, gate: Callable[[int], int | None]) -> None:
        self._start_ms = start_ms
        self._elapsed_s = 0.0
        self._mark_ms: int | None = mark_ms
        self._gate = gate

    def monotonic_s(self) -> float:
        """Returns virtual seconds since the start."""
        return self._elapsed_s

    def utc_ms(self) -> int | None:
        """Returns the virtual time, ms since 1970 UTC."""
        return self._start_ms + round(self._elapsed_s * 1000)

    def sleep_s(self, seconds: float) -> None:
        """Advances the virtual time at once."""
        self._elapsed_s += seconds

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        """Jumps to the time; at each mark before that time, waits at the gate."""
        target_ms = self._start_ms + monotonic_s * 1000
        while self._mark_ms is not None and target_ms > self._mark_ms:
            self._elapsed_s = max(self._elapsed_s, (self._mark_ms - self._start_ms) / 1000)
            before_wait()
            self._mark_ms = self._gate(self._mark_ms)
        if self._mark_ms is None:
            return False
        self._elapsed_s = max(self._elapsed_s, monotonic_s)
        return True
