"""What a check has found, and the check itself: values without any server behind them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Check", "Finding", "State", "healthy", "not_configured"]


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # somebody should look at it; nothing is broken
    FAILED = "failed"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's answer.

    Attributes:
        check: What was looked at.
        state: How it is.
        found: In words.
        expected: What would be well.
        remedy: What to do about it; empty where nothing is to be done.
    """

    check: str
    state: State
    found: str
    expected: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to look at.

    Attributes:
        name: Of what is looked at.
        expected: What would be well.
        remedy: What to do if it is not, or does not answer.
        limit_s: How long the look may take, seconds.
        look: Finds; may raise DewlineError, which is a finding as well.
    """

    name: str
    expected: str
    remedy: str
    limit_s: float
    look: Callable[[], Iterable[Finding]]

    def failed(self, found: str) -> Finding:
        """The finding that it is not as expected."""
        return Finding(
            check=self.name,
            state=State.FAILED,
            found=found,
            expected=self.expected,
            remedy=self.remedy,
        )


def not_configured(name: str, section: str) -> Finding:
    """The finding that nobody asked for this."""
    return Finding(
        check=name, state=State.NOT_CONFIGURED, found=f"no section [{section}]", expected="-"
    )


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.state is not State.FAILED for finding in findings)
