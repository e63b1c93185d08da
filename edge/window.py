"""The window: the last fit value of each signal in each short slot of the past 30 hours.

What models will look back on. Kept in memory, stored slot by slot with the block that closes, and
restored at start, so that a restart does not blind a model for a day. Used by the sense loop alone.
"""

import json
from collections import deque
from dataclasses import dataclass, field

from models.evaluation import Sample

__all__ = ["Window"]

SLOT_MS = 600_000
SPAN_MS = 30 * 3_600_000


@dataclass(slots=True)
class Window:
    """Samples by signal, oldest first, at most one per slot of 10 minutes.

    Attributes:
        stale: Whether a slot has begun since the window was stored: the flash is spared until then.
    """

    _samples: dict[str, deque[Sample]] = field(default_factory=dict)
    stale: bool = False

    def take(self, signal: str, sample: Sample) -> None:
        """Adds a fit sample; the last one of a slot stands for it."""
        samples = self._samples.setdefault(signal, deque())
        if samples and samples[-1].at_ms // SLOT_MS == sample.at_ms // SLOT_MS:
            samples[-1] = sample
            return
        self.stale = True
        samples.append(sample)
        while samples[0].at_ms < sample.at_ms - SPAN_MS:
            samples.popleft()

    def samples(self, signal: str) -> tuple[Sample, ...]:
        """The signal's samples, oldest first."""
        return tuple(self._samples.get(signal, ()))

    def resume(self, now_ms: int | None) -> None:
        """Forgets what a restored window cannot place: all if UTC is unknown, else the future."""
        for name, kept in self._samples.items():
            fit = (s for s in kept if now_ms is not None and s.at_ms <= now_ms)
            self._samples[name] = deque(fit)

    def rebase(self, delta_ms: int) -> None:
        """Moves all samples to another time line; `delta_ms` is new minus old instant."""
        for name, kept in self._samples.items():
            self._samples[name] = deque(Sample(s.at_ms + delta_ms, s.value) for s in kept)

    def dump(self) -> str:
        """The window as text."""
        return json.dumps(
            {name: [[s.at_ms, s.value] for s in kept] for name, kept in self._samples.items()},
            separators=(",", ":"),
        )

    @classmethod
    def load(cls, text: str) -> "Window":
        """The window that `dump` gave."""
        tables: dict[str, list[tuple[int, float]]] = json.loads(text)
        return cls({name: deque(Sample(*row) for row in rows) for name, rows in tables.items()})
