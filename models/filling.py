"""Computes the statistic of a step's values, and how much of the step they cover.

Standard library only. A value counts from its instant until the next one, but not longer than
`max_age_s`: this is the time that it covers. The last value before the step covers its begin in the
same way. Values of one instant are one value: the last of them, which has all signals.
"""

from collections.abc import Mapping
from typing import Any

from models.conditions import Condition, StepStatistic

__all__ = ["COVERED", "Filling"]

COVERED = 0.5  # smallest share of a step that its values must cover


class Filling:
    """Collects the values of the step that is being filled.

    Args:
        condition: A condition with a statistic other than the last value.
        saved: Result of `saved` of an earlier instance; empty for a new one.
    """

    def __init__(self, condition: Condition, saved: Mapping[str, Any]) -> None:
        self._statistic = condition.statistic
        self._step_ms = condition.step_s * 1000
        self._max_age_ms = condition.max_age_s * 1000
        self._restore(saved)

    def _restore(self, saved: Mapping[str, Any]) -> None:
        self._last_ms: int | None = saved.get("last_ms")  # the newest instant that is counted
        self._pending: list[Any] | None = saved.get("pending")  # instant and value, not yet counted
        self._covered_ms: int = saved.get("covered_ms", 0)
        self._count: int = saved.get("count", 0)
        self._total: float = saved.get("total", 0.0)
        self._low: float | None = saved.get("low")
        self._high: float | None = saved.get("high")

    def saved(self) -> dict[str, Any]:
        """Returns the JSON-ready state."""
        return {
            "last_ms": self._last_ms,
            "pending": self._pending,
            "covered_ms": self._covered_ms,
            "count": self._count,
            "total": self._total,
            "low": self._low,
            "high": self._high,
        }

    def take(self, at_ms: int, value: float) -> None:
        """Adds the value of an instant; a second one of the same instant replaces it."""
        if self.empty and self._last_ms is not None:
            begins_ms = at_ms - at_ms % self._step_ms
            self._covered_ms += max(0, min(at_ms, self._last_ms + self._max_age_ms) - begins_ms)
        if self._pending is not None and self._pending[0] != at_ms:
            self._settle(at_ms)
        self._pending = [at_ms, value]

    def close(self, begins_ms: int) -> float | None:
        """Ends the step. Returns its statistic; None if its values cover too little of it.

        Args:
            begins_ms: Begin of the step.
        """
        if self._pending is not None:
            self._settle(begins_ms + self._step_ms)
        enough = self._count > 0 and self._covered_ms >= COVERED * self._step_ms
        value = self._value() if enough else None
        self._restore({"last_ms": self._last_ms})
        return value

    @property
    def empty(self) -> bool:
        """Whether the step has no value yet."""
        return self._pending is None and not self._count

    def rebase(self, delta_ms: int | None) -> None:
        """Moves the saved instant by `delta_ms`; None: forgets the step's values."""
        if delta_ms is None:
            self._restore({})
            return
        if self._pending is not None:
            self._pending = [self._pending[0] + delta_ms, self._pending[1]]
        if self._last_ms is not None:
            self._last_ms += delta_ms

    def _settle(self, until_ms: int) -> None:
        """Counts the pending value, which was valid until an instant."""
        at_ms, value = self._pending or (until_ms, 0.0)
        self._covered_ms += max(0, min(until_ms - at_ms, self._max_age_ms))
        self._last_ms = at_ms
        self._count += 1
        self._total += value
        self._low = value if self._low is None else min(self._low, value)
        self._high = value if self._high is None else max(self._high, value)

    def _value(self) -> float | None:
        if self._statistic is StepStatistic.MEAN:
            return self._total / self._count
        return self._high if self._statistic is StepStatistic.MAX else self._low
