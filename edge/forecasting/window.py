"""Keeps the past values that models use: 37 hours, one value per signal and slot of 10 minutes.

Models use one day, plus the longest time for which a value counts before that day. The window is in
memory. It is stored when a slot begins, together with the next block, and restored at the start, so
that forecasts continue after a restart. If models run, the newest samples are stored with every
block, so that a restart does not change a model's input.

A slot keeps its last usable sample. A replaced sample stays until `settle`, because a step (one of
the equal periods in which a condition is evaluated) may have completed before the newer sample.
Only the sense loop uses this module.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from contract.signals import Signal
from models.evaluation import Sample

__all__ = ["SLOT_MS", "SPAN_MS", "Window"]

SLOT_MS = 600_000
SPAN_MS = 37 * 3_600_000  # models use the last 24 h; a value counts for up to 12 h


@dataclass(slots=True)
class Window:
    """Holds samples by signal, oldest first; after `settle` one per slot of 10 minutes.

    Attributes:
        exact: Whether the newest sample of each signal is also stored with every block.
        stale: Whether a slot has begun since the window was stored. Storing less often spares the
            flash memory.
    """

    exact: bool = False
    stale: bool = False
    _samples: dict[Signal, deque[Sample]] = field(default_factory=dict)
    _replaced: dict[Signal, list[Sample]] = field(default_factory=dict)

    def take(self, signal: Signal, sample: Sample) -> None:
        """Adds a usable sample; it replaces an earlier one of the same slot."""
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
        """Removes replaced samples; call it when no earlier time is needed any more."""
        self._replaced.clear()

    def samples(self, signal: Signal) -> tuple[Sample, ...]:
        """Returns the signal's samples, oldest first, with those replaced since `settle`."""
        kept = self._samples.get(signal)
        if kept is None:
            return ()
        replaced = self._replaced.get(signal)
        if not replaced:
            return tuple(kept)
        return tuple(sorted((*replaced, *kept), key=_at_ms))

    def resume(self, now_ms: int | None) -> None:
        """Removes samples with a wrong time: all if UTC is unknown, else those in the future."""
        self.settle()
        for name, kept in self._samples.items():
            fit = (s for s in kept if now_ms is not None and s.at_ms <= now_ms)
            self._samples[name] = deque(fit)

    def rebase(self, delta_ms: int) -> None:
        """Shifts all samples after a clock change; `delta_ms` is new minus old."""
        self.settle()
        for name, kept in self._samples.items():
            self._samples[name] = deque(Sample(s.at_ms + delta_ms, s.value) for s in kept)

    def memory(self) -> list[tuple[str, str]]:
        """Returns names and texts of the state to store with the block that is committed now."""
        whole = [("window", _text(self._samples))] if self.stale else []
        if not self.exact:
            return whole
        newest = {name: (kept[-1],) for name, kept in self._samples.items() if kept}
        return [*whole, ("window_newest", _text(newest))]

    @classmethod
    def recalled(cls, recall: Callable[[str], str | None], *, exact: bool) -> "Window":
        """Returns the stored window; an empty one if none was stored.

        Args:
            recall: Returns the text stored under a name.
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
