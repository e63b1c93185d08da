"""Time for the sense loop: what passes (monotonic) and what the calendar says (UTC).

The two are never mixed: intervals, deadlines and order use the monotonic time; UTC is data, and is
None as long as it cannot be believed. The send loop has a clock of its own (`real_s`), so that
a virtual sense clock never moves a time-out.
"""

import queue
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["SenseClock", "SystemClock", "VirtualClock", "real_s"]


class SenseClock(Protocol):
    """The clock that the sense loop, its drivers and its records live by."""

    def monotonic_s(self) -> float:
        """Seconds that never run backwards; the origin means nothing."""
        ...

    def utc_ms(self) -> int | None:
        """Milliseconds since 1970 UTC, None while the clock cannot be believed."""
        ...

    def sleep_s(self, seconds: float) -> None:
        """A driver's short wait for its chip."""
        ...

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        """Waits for an instant; false when the loop shall stop, at once if need be.

        Args:
            monotonic_s: The instant.
            before_wait: Called before a wait whose length nobody knows (a virtual clock's mark).
        """
        ...


def real_s() -> float:
    """Real monotonic seconds: acks, back-off, lanes and grace run on these."""
    return time.monotonic()


class SystemClock:
    """The machine's clocks. UTC is believed from `floor_ms` on: no reading can be older than that.

    A Pi without a battery-backed clock starts in the past: the floor tells.
    """

    def __init__(self, floor_ms: int) -> None:
        self._floor_ms = floor_ms
        # not an Event: a signal handler that sets one while its own thread is about to wait on it
        # would wait for itself; SimpleQueue.put may be called anywhere
        self._stops: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopped = False

    def monotonic_s(self) -> float:
        """Seconds since some point, unaffected by the calendar."""
        return time.monotonic()

    def utc_ms(self) -> int | None:
        """Milliseconds since 1970 UTC, None below the floor."""
        now_ms = time.time_ns() // 1_000_000
        return now_ms if now_ms >= self._floor_ms else None

    def sleep_s(self, seconds: float) -> None:
        """Sleeps for real."""
        time.sleep(seconds)

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        """Sleeps until the instant or a `stop`."""
        del before_wait  # the wait's length is known
        if not self._stopped:
            try:
                self._stops.get(timeout=max(0.0, monotonic_s - time.monotonic()))
                self._stopped = True
            except queue.Empty:
                pass  # the instant has come
        return not self._stopped

    def stop(self) -> None:
        """Makes the sense loop stop in order; safe from any thread and from signal handlers."""
        self._stops.put(None)


class VirtualClock:
    """A clock that jumps to the next instant anybody waits for, up to a mark that a gate moves on.

    Recordings run through the same code as life, as fast as the machine can. At a mark the clock
    waits in real time: `gate` is called with the mark and returns the next one, or None to stop.
    """

    def __init__(self, start_ms: int, mark_ms: int, gate: Callable[[int], int | None]) -> None:
        self._start_ms = start_ms
        self._elapsed_s = 0.0
        self._mark_ms: int | None = mark_ms
        self._gate = gate

    def monotonic_s(self) -> float:
        """Virtual seconds since the start."""
        return self._elapsed_s

    def utc_ms(self) -> int | None:
        """The virtual calendar, ms since 1970 UTC."""
        return self._start_ms + round(self._elapsed_s * 1000)

    def sleep_s(self, seconds: float) -> None:
        """Lets the seconds pass at once."""
        self._elapsed_s += seconds

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        """Jumps to the instant; at each mark on the way it waits at the gate."""
        target_ms = self._start_ms + monotonic_s * 1000
        while self._mark_ms is not None and target_ms > self._mark_ms:
            self._elapsed_s = max(self._elapsed_s, (self._mark_ms - self._start_ms) / 1000)
            before_wait()
            self._mark_ms = self._gate(self._mark_ms)
        if self._mark_ms is None:
            return False
        self._elapsed_s = max(self._elapsed_s, monotonic_s)
        return True
