"""Computes the wait before a retry: doubled limits with full jitter.

Full jitter is a uniform draw from zero to the limit. With it, clients that lost the same server do
not all reconnect at the same time. And two gateways under one name do not disconnect each other at
a fixed rate.
"""

import math
import random
from dataclasses import dataclass, field

__all__ = ["Backoff"]

_MOST_DOUBLINGS = 30


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Computes the waits of one loop before its next attempt.

    Attributes:
        first_s: The first limit, seconds.
        longest_s: The largest limit, seconds.
        stable_s: Success time after which the limit is reset, seconds. Infinite: only `reset` does.
        source: Random generator; tests pass a seeded one.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    stable_s: float = math.inf
    source: random.Random = field(default_factory=random.SystemRandom)
    _failures: int = 0

    def wait_s(self, lasted_s: float = 0.0, *, rarely: bool = False) -> float:
        """Returns the seconds to wait after a failure, and doubles the limit of the next wait.

        Args:
            lasted_s: Time that the attempt worked before it failed, seconds.
            rarely: True if an early retry cannot help: the limit is then `longest_s`.
        """
        if lasted_s >= self.stable_s:
            self.reset()
        limit_s = min(self.longest_s, self.first_s * 2**self._failures)
        if rarely:
            limit_s = self.longest_s
        self._failures = min(self._failures + 1, _MOST_DOUBLINGS)
        return self.source.uniform(0.0, limit_s)

    def reset(self) -> None:
        """Resets the limit to the first one, after a success."""
        self._failures = 0
