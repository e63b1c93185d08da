"""Waiting before trying again: doubled limits, full jitter, reset only after a stable time."""

import random
from dataclasses import dataclass, field

__all__ = ["Backoff"]


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next attempt.

    Full jitter (a uniform draw from zero to the limit) keeps a fleet from knocking in step after an
    outage, and two gateways under one name from evicting each other in step.

    Attributes:
        first_s: The first limit, seconds.
        longest_s: The limit stops growing here.
        stable_s: A success must have lasted so long to begin again with the first limit.
        source: Randomness; a test gives a seeded one.
    """

    first_s: float
    longest_s: float
    stable_s: float
    source: random.Random = field(default_factory=random.SystemRandom)
    _failures: int = 0

    def wait_s(self, lasted_s: float = 0.0, *, rarely: bool = False) -> float:
        """Seconds to wait after a failure.

        Args:
            lasted_s: How long the attempt had worked before it failed.
            rarely: True if trying again soon cannot help: the limit is the longest one.
        """
        if lasted_s >= self.stable_s:
            self._failures = 0
        limit_s = min(self.longest_s, self.first_s * 2**self._failures)
        if rarely:
            limit_s = self.longest_s
        self._failures = min(self._failures + 1, 30)
        return self.source.uniform(0.0, limit_s)
