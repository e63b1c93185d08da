"""Replay of a condition over history: every step with its verdict, as columns.

The gateway judges sample by sample, the cloud judges years at once: both by `models.evaluation`.
This module only feeds it and keeps what comes out. Pure; standard library and numpy.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.signals import Signal
from models.conditions import Condition, signals_of
from models.evaluation import Evaluator, Sample

__all__ = ["Interval", "Readings", "Steps", "intervals", "onsets", "replay"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Readings:
    """Samples of one device in the order in which they were taken, one row each.

    Attributes:
        signals: What they are of, each once.
        codes: For each row the index of its signal in `signals`.
        at_ms: Instant, ms since 1970 UTC, not falling.
        values: In the signal's unit; NaN where there was none fit to judge by.
    """

    signals: tuple[Signal, ...]
    codes: Ints
    at_ms: Ints
    values: Floats

    @classmethod
    def of_rows(cls, signals: Sequence[Signal], at_ms: Ints, values: Floats) -> "Readings":
        """Readings with the signal of each row."""
        code = {signal: number for number, signal in enumerate(dict.fromkeys(signals))}
        codes = np.fromiter((code[signal] for signal in signals), np.int64, len(signals))
        return cls(tuple(code), codes, at_ms, values)

    def __len__(self) -> int:
        return len(self.at_ms)

    def are(self, wanted: Collection[Signal | None]) -> Flags:
        """Which rows are of one of these signals."""
        codes = [code for code, signal in enumerate(self.signals) if signal in wanted]
        return np.isin(self.codes, codes)

    def rows(self, chosen: "Ints | Flags | slice") -> "Readings":
        """The chosen rows."""
        return Readings(self.signals, self.codes[chosen], self.at_ms[chosen], self.values[chosen])

    def of(self, signal: Signal | None) -> tuple[Ints, Floats]:
        """Instants and values of the fit samples of one signal; both empty for None."""
        mine = self.are((signal,)) & ~np.isnan(self.values)
        return self.at_ms[mine], self.values[mine]


_STEP_TYPES = (np.int64, np.int64, np.float64, np.bool_, np.bool_, np.bool_, np.int64)  # of `Steps`


@dataclass(frozen=True, slots=True)
class Steps:
    """Completed steps of one condition on one device, oldest first.

    Attributes:
        begins_ms: Begin of each step.
        at_ms: When it completed.
        values: The signal's value.
        holds: Whether the condition holds after it.
        changed: Whether that changed with it.
        full: Whether a sample completed it.
        rows: For a full step the row of `Readings` that completed it, else -1.
    """

    begins_ms: Ints
    at_ms: Ints
    values: Floats
    holds: Flags
    changed: Flags
    full: Flags
    rows: Ints

    def __len__(self) -> int:
        return len(self.begins_ms)


def replay(condition: Condition, readings: Readings, *, holds: bool = False) -> Steps:
    """The steps that a gateway would have judged, had it taken these samples.

    Args:
        condition: What is judged.
        readings: In the order in which the gateway took them.
        holds: Whether the condition held before the first one.
    """
    evaluator = Evaluator(condition, holds=holds)
    # samples of other signals would move time on, and the next wanted sample does that all the same
    wanted = np.flatnonzero(readings.are(signals_of(condition)))
    mine = readings.rows(wanted)
    found: list[tuple[int, int, float, bool, bool, bool, int]] = []
    columns = (column.tolist() for column in (wanted, mine.codes, mine.at_ms, mine.values))
    for row, code, at_ms, value in zip(*columns, strict=True):
        sample = Sample(at_ms, None if value != value else value)  # noqa: PLR0124  # only NaN differs from itself
        found += [
            (s.begins_ms, s.at_ms, s.value, s.holds, s.changed, s.full, row if s.full else -1)
            for s in evaluator.take(readings.signals[code], sample)
        ]
    steps = zip(*found, strict=True) if found else [()] * len(_STEP_TYPES)
    return Steps(*(np.array(c, t) for c, t in zip(steps, _STEP_TYPES, strict=True)))


def onsets(steps: Steps, condition: Condition) -> Floats:
    """The label of each step: 1 if the condition holds within its horizon, else 0.

    The horizon is the next `horizon_s / step_s` steps. NaN where one of them has no verdict: what
    nobody observed is neither an onset nor the absence of one, whatever the others say.
    """
    step_ms, count = condition.step_s * 1000, condition.horizon_s // condition.step_s
    begins, labels = steps.begins_ms, np.full(len(steps), np.nan)
    if not len(steps) or not count:
        return labels
    last = np.arange(len(steps)) + count
    inside = last < len(steps)
    rows = np.flatnonzero(inside)
    whole = begins[last[rows]] - begins[rows] == count * step_ms  # begins are unique and rising
    held = np.concatenate(([0], np.cumsum(steps.holds)))
    rows = rows[whole]
    labels[rows] = held[rows + count + 1] - held[rows + 1] > 0
    return labels


@dataclass(frozen=True, slots=True)
class Interval:
    """A time in which the condition held.

    Attributes:
        began_at: The instant of the alert that was raised, ms since 1970 UTC.
        began_value: The signal's value then.
        ended_at: The instant of the one that cleared it; None while it holds.
        ended_value: The signal's value then.
    """

    began_at: int
    began_value: float
    ended_at: int | None = None
    ended_value: float | None = None


def intervals(steps: Steps) -> list[Interval]:
    """When the condition held, oldest first; one that held before the first step is left out."""
    found: list[Interval] = []
    for row in np.flatnonzero(steps.changed).tolist():
        at_ms, value = int(steps.at_ms[row]), round(float(steps.values[row]), 6)
        if steps.holds[row]:
            found.append(Interval(at_ms, value))
        elif found:
            found[-1] = Interval(found[-1].began_at, found[-1].began_value, at_ms, value)
    return found
