"""How long to wait after a failure: doubling bounds, full jitter.

Full jitter (anything between nothing and the bound) keeps many processes that lost the same server
from coming back in step.
"""

import random

__all__ = ["Backoff"]


class Backoff:
    """Waits of one loop, seconds; `reset` after a success."""

    def __init__(
        self, first_s: float = 0.5, largest_s: float = 30.0, source: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._largest_s = largest_s
        self._source = source or random.Random()  # noqa: S311  # spreads load, guards nothing
        self._bound_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now; the bound of the next wait is twice as large."""
        wait_s = self._source.uniform(0.0, self._bound_s)
        self._bound_s = min(self._bound_s * 2, self._largest_s)
        return wait_s

    def reset(self) -> None:
        """Begins again with the first bound."""
        self._bound_s = self._first_s
