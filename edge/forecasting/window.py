"""The window: the last fit value of each signal in each short slot of the past 37 hours.

What models look back on: a day, and the longest time for which a value counts before it. Kept in
memory, stored slot by slot with the block that closes, and restored at start, so that a restart
does not blind a model for a day. Where models run, the newest samples are stored with every block,
so that a restart does not change what a model sees either.

Samples that a newer one of their slot replaced stay until `settle`: a step that completed between
the two is judged by what was known then. Used by the sense loop alone.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from contract.signals import Signal
from models.evaluation import Sample

__all__ = ["SLOT_MS", "SPAN_MS", "Window"]

SLOT_MS = 600_000
SPAN_MS = 37 * 3_600_000  # `models.features`: 24 h back, and there a value counts for up to 12 h


@dataclass(slots=True)
class Window:
    """Samples by signal, oldest first, at most one per slot of 10 minutes once settled.

    Attributes:
        exact: Whether the newest sample of each signal is stored with every block, too.
        stale: Whether a slot has begun since the window was stored: the flash is spared until then.
    """

    exact: bool = False
    stale: bool = False
    _samples: dict[Signal, deque[Sample]] = field(default_factory=dict)
    _replaced: dict[Signal, list[Sample]] = field(default_factory=dict)

    def take(self, signal: Signal, sample: Sample) -> None:
        """Adds a fit sample; the last one of a slot stands for it."""
        samples = self._samples.setdefault(signal, deque())
        if samples and samples[-1].at_ms // SLOT_MS == sample.at_ms // SLOT_MS:
            self._replaced.setdefault(signal, []).append(samples[-1])
            samples[-1] = sample
            return
        self.stale = True
        samples.append(sample)
        while samples[0].at_ms < sample.at_ms - SPAN_MS:
            samples.popleft()

    def settle(self) -> None:
        """Lets go of what was replaced: nobody will ask for an instant before now any more."""
        self._replaced.clear()

    def samples(self, signal: Signal) -> tuple[Sample, ...]:
        """The signal's samples, oldest first: what was replaced since `settle`, too."""
        kept = self._samples.get(signal)
        if kept is None:
            return ()
        replaced = self._replaced.get(signal)
        if not replaced:
            return tuple(kept)
        return tuple(sorted((*replaced, *kept), key=_at_ms))

    def resume(self, now_ms: int | None) -> None:
        """Forgets what a restored window cannot place: all if UTC is unknown, else the future."""
        self.settle()
        for name, kept in self._samples.items():
            fit = (s for s in kept if now_ms is not None and s.at_ms <= now_ms)
            self._samples[name] = deque(fit)

    def rebase(self, delta_ms: int) -> None:
        """Moves all samples to another time line; `delta_ms` is new minus old instant."""
        self.settle()
        for name, kept in self._samples.items():
            self._samples[name] = deque(Sample(s.at_ms + delta_ms, s.value) for s in kept)

    def memory(self) -> list[tuple[str, str]]:
        """Names and texts of what to store with the block that closes now."""
        whole = [("window", _text(self._samples))] if self.stale else []
        if not self.exact:
            return whole
        newest = {name: (kept[-1],) for name, kept in self._samples.items() if kept}
        return [*whole, ("window_newest", _text(newest))]

    @classmethod
    def recalled(cls, recall: Callable[[str], str | None], *, exact: bool) -> "Window":
        """The window that was stored; an empty one if none was.

        Args:
            recall: Gives the text stored under a name.
            exact: Whether models run here.
        """
        window = cls(exact=exact)
        for name, rows in _rows(recall("window")):
            window._samples[name] = deque(rows)
        for name, rows in _rows(recall("window_newest") if exact else None):
            for sample in rows:
                window._add_newest(name, sample)
        window.settle()
        window.stale = False
        return window

    def _add_newest(self, signal: Signal, sample: Sample) -> None:
        kept = self._samples.get(signal)
        if not kept or sample.at_ms > kept[-1].at_ms:
            self.take(signal, sample)


def _at_ms(sample: Sample) -> int:
    return sample.at_ms


def _text(samples: Mapping[Signal, Iterable[Sample]]) -> str:
    return json.dumps(
        {str(signal): [[s.at_ms, s.value] for s in kept] for signal, kept in samples.items()},
        separators=(",", ":"),
    )


def _rows(text: str | None) -> list[tuple[Signal, list[Sample]]]:
    tables: dict[str, list[tuple[int, float]]] = json.loads(text or "{}")
    return [(Signal.parse(name), [Sample(*row) for row in rows]) for name, rows in tables.items()]
