"""Time as an argument: what the cloud's loops ask instead of the machine's clock."""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two clocks: one to put into records, one to measure with."""

    def utc_ms(self) -> int:
        """Now, ms since 1970 UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back, from an unknown origin."""
        ...


class SystemClock:
    """The machine's clocks."""

    def utc_ms(self) -> int:
        """Now, ms since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds since an unknown origin."""
        return time.monotonic_ns() // 1_000_000
