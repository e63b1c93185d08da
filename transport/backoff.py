"""Waiting before trying again: doubled limits, full jitter.

Full jitter (a uniform draw from zero to the limit) keeps a fleet, or many processes that lost the
same server, from coming back in step, and two gateways under one name from evicting each other in
step.
"""

import math
import random
from dataclasses import dataclass, field

__all__ = ["Backoff"]

_MOST_DOUBLINGS = 30


@dataclass(slots=True, kw_only=True)
class Backoff:
    """How long one loop waits before its next attempt.

    Attributes:
        first_s: The first limit, seconds.
        longest_s: The limit stops growing here.
        stable_s: A success that lasted so long resets the limit. Infinite: only `reset` does.
        source: Randomness; a test gives a seeded one.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    stable_s: float = math.inf
    source: random.Random = field(default_factory=random.SystemRandom)
    _failures: int = 0

    def wait_s(self, lasted_s: float = 0.0, *, rarely: bool = False) -> float:
        """Seconds to wait after a failure; the limit of the next wait is twice as large.

        Args:
            lasted_s: How long the attempt had worked before it failed.
            rarely: True if trying again soon cannot help: the limit is the longest one.
        """
        if lasted_s >= self.stable_s:
            self.reset()
        limit_s = min(self.longest_s, self.first_s * 2**self._failures)
        if rarely:
            limit_s = self.longest_s
        self._failures = min(self._failures + 1, _MOST_DOUBLINGS)
        return self.source.uniform(0.0, limit_s)

    def reset(self) -> None:
        """Begins again with the first limit, after a success."""
        self._failures = 0
