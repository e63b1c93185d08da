"""How a condition decides, step by step, whether it holds: one file for each kind of criterion.

A criterion owns its state, and saves and restores it, so that a new kind is a file here and a
member of `models.conditions.Comparison`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from models.conditions import Comparison, Condition
from models.criteria.threshold import Threshold

__all__ = ["CRITERIA", "Criterion", "Saved", "criterion_of"]

Saved = Mapping[str, Any]  # state as JSON has it


class Criterion(Protocol):
    """Judges the values of one condition in the order of their steps."""

    @property
    def holds(self) -> bool:
        """Whether the condition holds after the last step."""
        ...

    def judge(self, value: float, at_ms: int) -> None:
        """Takes the value of the next step; `at_ms` is when the step completed."""
        ...

    def skip(self) -> None:
        """Takes a step that has no value."""
        ...

    def rebase(self, delta_ms: int | None) -> None:
        """Moves its instants by `delta_ms`; None: forgets them, and keeps only `holds`."""
        ...

    def saved(self) -> dict[str, Any]:
        """Its state as JSON has it; given to the constructor, it goes on from there."""
        ...


CRITERIA: Mapping[Comparison, Callable[[Condition, Saved], Criterion]] = {
    Comparison.ABOVE: Threshold,
    Comparison.BELOW: Threshold,
}


def criterion_of(condition: Condition, saved: Saved) -> Criterion:
    """The criterion of a condition, as it was when `saved` was made; empty for a new one."""
    return CRITERIA[condition.comparison](condition, saved)
