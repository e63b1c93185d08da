"""Defines a check of the doctor, and a finding: the result of a check."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Check", "Finding", "State", "healthy", "not_configured"]


class State(StrEnum):
    """Result of a check."""

    OK = "ok"
    WARNING = "warning"  # the operator should look at it; nothing is broken
    FAILED = "failed"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's output.

    Attributes:
        check: Name of the check.
        state: Result of the check.
        found: Description of what was found.
        expected: Description of the healthy state.
        remedy: What to do; empty if nothing is to be done.
    """

    check: str
    state: State
    found: str
    expected: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to check.

    Attributes:
        name: Name of the check.
        expected: Description of the healthy state.
        remedy: What to do if the check fails or gets no answer.
        limit_s: Time limit of the check, seconds.
        look: Returns the findings; a DewlineError that it raises becomes a finding too.
    """

    name: str
    expected: str
    remedy: str
    limit_s: float
    look: Callable[[], Iterable[Finding]]

    def failed(self, found: str) -> Finding:
        """Returns the finding that this check failed."""
        return Finding(
            check=self.name,
            state=State.FAILED,
            found=found,
            expected=self.expected,
            remedy=self.remedy,
        )


def not_configured(name: str, section: str) -> Finding:
    """Returns the finding that the configuration has no section for this check."""
    return Finding(
        check=name, state=State.NOT_CONFIGURED, found=f"no section [{section}]", expected="-"
    )


def healthy(findings: Sequence[Finding]) -> bool:
    """Returns whether no check failed."""
    return all(finding.state is not State.FAILED for finding in findings)
