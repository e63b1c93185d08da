"""Decides step by step whether a condition holds; each kind of criterion has one file.

A criterion keeps, saves and restores its own state. A new kind needs only a file here and a member
of `models.conditions.Comparison`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from models.conditions import Comparison, Condition
from models.criteria.threshold import Threshold

__all__ = ["CRITERIA", "Criterion", "Saved", "criterion_of"]

Saved = Mapping[str, Any]  # JSON-ready state


class Criterion(Protocol):
    """Judges the values of one condition in the order of their steps."""

    @property
    def holds(self) -> bool:
        """Whether the condition holds after the last step."""
        ...

    def judge(self, value: float, at_ms: int) -> None:
        """Evaluates the value of the next step; `at_ms` is when the step completed."""
        ...

    def skip(self) -> None:
        """Accounts for a step that has no value."""
        ...

    def rebase(self, delta_ms: int | None) -> None:
        """Moves the saved instants by `delta_ms`; None: forgets them and keeps only `holds`."""
        ...

    def saved(self) -> dict[str, Any]:
        """Returns the JSON-ready state, from which the constructor can continue."""
        ...


CRITERIA: Mapping[Comparison, Callable[[Condition, Saved], Criterion]] = {
    Comparison.ABOVE: Threshold,
    Comparison.BELOW: Threshold,
}


def criterion_of(condition: Condition, saved: Saved) -> Criterion:
    """Returns the criterion of a condition with the state `saved`; empty for a new one."""
    return CRITERIA[condition.comparison](condition, saved)
