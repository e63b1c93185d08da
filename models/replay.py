"""Evaluates a condition over history: returns every step with its verdict, as columns.

The gateway evaluates sample by sample, the cloud evaluates years at once; both use
`models.evaluation`. This module passes samples to it and collects the steps. Requires numpy.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.signals import Signal
from models.conditions import Condition, signals_of
from models.evaluation import Evaluator, Sample

__all__ = ["Interval", "Readings", "Steps", "interval_rows", "intervals", "onsets", "replay"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Readings:
    """Holds the samples of one device in the order of time, one row each.

    Attributes:
        signals: The signals, each once.
        codes: For each row the index of its signal in `signals`.
        at_ms: Instants, ms since 1970 UTC, ascending; equal ones are allowed.
        values: Values in the signal's unit; NaN where there was no usable value.
    """

    signals: tuple[Signal, ...]
    codes: Ints
    at_ms: Ints
    values: Floats

    @classmethod
    def of_rows(cls, signals: Sequence[Signal], at_ms: Ints, values: Floats) -> "Readings":
        """Returns readings, given the signal of each row."""
        code = {signal: number for number, signal in enumerate(dict.fromkeys(signals))}
        codes = np.fromiter((code[signal] for signal in signals), np.int64, len(signals))
        return cls(tuple(code), codes, at_ms, values)

    def __len__(self) -> int:
        return len(self.at_ms)

    def are(self, wanted: Collection[Signal | None]) -> Flags:
        """Returns for each row whether it belongs to one of these signals."""
        codes = [code for code, signal in enumerate(self.signals) if signal in wanted]
        return np.isin(self.codes, codes)

    def rows(self, chosen: "Ints | Flags | slice") -> "Readings":
        """Returns the chosen rows."""
        return Readings(self.signals, self.codes[chosen], self.at_ms[chosen], self.values[chosen])

    def of(self, signal: Signal | None) -> tuple[Ints, Floats]:
        """Returns instants and values of one signal's usable samples; both are empty for None."""
        mine = self.are((signal,)) & ~np.isnan(self.values)
        return self.at_ms[mine], self.values[mine]


_STEP_TYPES = (np.int64, np.int64, np.float64, np.bool_, np.bool_, np.bool_, np.int64)  # in `Steps`


@dataclass(frozen=True, slots=True)
class Steps:
    """Holds the completed steps of one condition on one device, oldest first.

    Attributes:
        begins_ms: Begin of each step.
        at_ms: Instant at which each step completed.
        values: The signal's values.
        holds: Whether the condition holds after the step.
        changed: Whether the step changed `holds`.
        full: Whether a sample completed the step.
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
    """Returns the steps and verdicts that a gateway would compute from these samples.

    Args:
        condition: The condition.
        readings: Readings in the order in which the gateway took them.
        holds: Whether the condition held before the first reading.
    """
    evaluator = Evaluator(condition, holds=holds)
    # Samples of other signals only complete earlier steps, which the next wanted sample also does.
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
    """Returns the label of each step: 1 if the condition holds within its horizon, else 0.

    The horizon is the next `horizon_s / step_s` steps. The label is NaN if one of them has no
    verdict: without an observation, neither 1 nor 0 can be proved.
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
    """Holds an interval in which the condition held.

    Attributes:
        began_at: Instant at which the condition became true, ms since 1970 UTC.
        began_value: The signal's value at `began_at`.
        ended_at: Instant at which the condition became false; None if it still holds.
        ended_value: The signal's value at `ended_at`.
    """

    began_at: int
    began_value: float
    ended_at: int | None = None
    ended_value: float | None = None


def intervals(steps: Steps) -> list[Interval]:
    """Returns the intervals in which the condition held, oldest first.

    An interval that began before the first step is left out.
    """
    found = []
    for began, ended in interval_rows(steps.changed, steps.holds):
        begin = _moment(steps, began)
        end = (None, None) if ended is None else _moment(steps, ended)
        found.append(Interval(*begin, *end))
    return found


def _moment(steps: Steps, row: int) -> tuple[int, float]:
    return int(steps.at_ms[row]), round(float(steps.values[row]), 6)


def interval_rows(changed: Flags, holds: Flags) -> Iterator[tuple[int, int | None]]:
    """Yields the rows of the steps at which each interval began and ended; None if it still holds.

    Args:
        changed: Whether each step changed `holds`, oldest first.
        holds: Whether the condition holds after each step.
    """
    began: int | None = None
    for row in np.flatnonzero(changed).tolist():
        if holds[row]:
            began = row
        elif began is not None:
            yield began, row
            began = None
    if began is not None:
        yield began, None
