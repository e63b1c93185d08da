"""Passes time as an argument, so that tests can replace the machine's clock in the loops."""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two clocks: UTC for records, and a monotonic one for durations."""

    def utc_ms(self) -> int:
        """Returns the current time, ms since 1970 UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Returns milliseconds since an unknown origin, which never go back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def utc_ms(self) -> int:
        """Returns the current time, ms since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Returns milliseconds since an unknown origin."""
        return time.monotonic_ns() // 1_000_000
