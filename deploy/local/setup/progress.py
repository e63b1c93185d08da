"""Prints the set-up's progress: a line at the begin of each step and one at its end."""

import time
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Progress"]


class Progress:
    """Prints steps with the seconds since the set-up began. Steps may run in parallel."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Prints one line without buffering."""
        print(f"[setup {time.monotonic() - self._begun:6.1f} s] {text}", flush=True)

    @contextmanager
    def step(self, title: str) -> Generator[None]:
        """Prints the begin of a step, and its duration at the end unless it fails."""
        self.say(f"{title} ...")
        begun = time.monotonic()
        yield
        self.say(f"{title}: done in {time.monotonic() - begun:.1f} s")
