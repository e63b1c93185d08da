"""Gathers messages for a file until a time, a size or a number is reached. Time is an argument."""

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Gather", "GatherLimits"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherLimits:
    """Limits of one file; the first limit that is reached completes the file.

    Attributes:
        wait_ms: Time since the first message, milliseconds.
        size_bytes: Payload bytes.
        total: Number of messages; half the receive maximum, so that the broker continues to send
            while the first half is committed.
    """

    wait_ms: int = 250
    size_bytes: int = 8_000_000
    total: int = 500


class Gather(Generic[T]):
    """The messages of the next file."""

    def __init__(self, limits: GatherLimits) -> None:
        self._limits = limits
        self._messages: list[T] = []
        self._held_bytes = 0
        self._due_ms = 0

    def add(self, message: T, size_bytes: int, now_ms: int) -> None:
        """Adds a message of so many payload bytes; `now_ms` is monotonic."""
        if not self._messages:
            self._due_ms = now_ms + self._limits.wait_ms
        self._messages.append(message)
        self._held_bytes += size_bytes

    def left_ms(self, now_ms: int) -> int | None:
        """Returns the milliseconds until the file is due, 0 if it is due, None without messages."""
        if not self._messages:
            return None
        full = len(self._messages) >= self._limits.total
        if full or self._held_bytes >= self._limits.size_bytes:
            return 0
        return max(0, self._due_ms - now_ms)

    def take(self) -> tuple[T, ...]:
        """Returns the messages in the order of arrival, and starts the next file."""
        taken = tuple(self._messages)
        self._messages.clear()
        self._held_bytes = 0
        return taken
