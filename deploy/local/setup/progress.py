"""What a person sees of the set-up: a line when a step begins, one with seconds at its end."""

import time
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Progress"]


class Progress:
    """Prints steps with the seconds since the set-up began. Steps may run side by side."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line at once."""
        print(f"[setup {time.monotonic() - self._begun:6.1f} s] {text}", flush=True)

    @contextmanager
    def step(self, title: str) -> Generator[None]:
        """Announce a step; print its seconds once it is done (nothing if it fails)."""
        self.say(f"{title} ...")
        begun = time.monotonic()
        yield
        self.say(f"{title}: done in {time.monotonic() - begun:.1f} s")
