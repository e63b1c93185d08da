"""Evaluates the criteria `above` and `below`: a limit with hysteresis and a duration."""

from collections.abc import Mapping
from typing import Any

from models.conditions import Comparison, Condition

__all__ = ["Threshold"]


class Threshold:
    """Holds once the value has been beyond the limit for the condition's duration.

    A step without a value resets the duration, which starts again with the next value.

    Args:
        condition: The condition; its comparison, limit, hysteresis and duration are used.
        saved: Result of `saved` of an earlier instance; empty for a new one.
    """

    def __init__(self, condition: Condition, saved: Mapping[str, Any]) -> None:
        self._condition = condition
        self._sign = 1.0 if condition.comparison is Comparison.ABOVE else -1.0
        self.holds: bool = saved.get("holds", False)
        self._beyond_since_ms: int | None = saved.get("beyond_since_ms")

    def judge(self, value: float, at_ms: int) -> None:
        """Evaluates the value of the next step."""
        if not self._beyond(value):
            self._beyond_since_ms = None
            if self.holds and self._back(value):
                self.holds = False
            return
        if self._beyond_since_ms is None:
            self._beyond_since_ms = at_ms
        if at_ms - self._beyond_since_ms >= self._condition.duration_s * 1000:
            self.holds = True

    def skip(self) -> None:
        """Accounts for a step that has no value."""
        self._beyond_since_ms = None

    def rebase(self, delta_ms: int | None) -> None:
        """Moves the saved instant by `delta_ms`; None: forgets it."""
        since = self._beyond_since_ms
        self._beyond_since_ms = None if delta_ms is None or since is None else since + delta_ms

    def saved(self) -> dict[str, Any]:
        """Returns the JSON-ready state."""
        return {"holds": self.holds, "beyond_since_ms": self._beyond_since_ms}

    def _beyond(self, value: float) -> bool:
        limit = self._condition.limit
        return value > limit if self._sign > 0 else value < limit

    def _back(self, value: float) -> bool:
        limit = self._condition.limit - self._sign * self._condition.hysteresis
        return value <= limit if self._sign > 0 else value >= limit
