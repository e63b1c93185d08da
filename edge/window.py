"""The window: the last fit value of each signal in each short slot of the past 30 hours.

What models will look back on. Kept in memory, stored slot by slot with the block that closes, and
restored at start, so that a restart does not blind a model for a day.
"""

import json
from collections import deque
from dataclasses import dataclass, field

from models.conditions import Sample

__all__ = ["Window"]

SLOT_MS = 600_000
SPAN_MS = 30 * 3_600_000


@dataclass(slots=True)
class Window:
    """Samples by signal, oldest first, at most one per slot of 10 minutes."""

    _samples: dict[str, deque[Sample]] = field(default_factory=dict)
    _stale: bool = False

    def take(self, signal: str, sample: Sample) -> None:
        """Adds a fit sample; the last one of a slot stands for it."""
        samples = self._samples.setdefault(signal, deque())
        if samples and samples[-1].at_ms // SLOT_MS == sample.at_ms // SLOT_MS:
            samples.pop()
        else:
            self._stale = True
        samples.append(sample)
        while samples[0].at_ms < sample.at_ms - SPAN_MS:
            samples.popleft()

    def samples(self, signal: str) -> tuple[Sample, ...]:
        """The signal's samples, oldest first."""
        return tuple(self._samples.get(signal, ()))

    def dump_if_stale(self) -> str | None:
        """The window as text if a slot has begun since the last call: the flash is spared."""
        if not self._stale:
            return None
        self._stale = False
        return json.dumps(
            {name: [[s.at_ms, s.value] for s in kept] for name, kept in self._samples.items()},
            separators=(",", ":"),
        )

    @classmethod
    def load(cls, text: str) -> "Window":
        """The window that `dump_if_stale` gave."""
        tables: dict[str, list[tuple[int, float]]] = json.loads(text)
        return cls({name: deque(Sample(*row) for row in rows) for name, rows in tables.items()})
