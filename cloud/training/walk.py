"""Evaluates learners by walk-forward validation: train on all data before a month, test on it.

A fold is one such split. Test windows must not share an hour with training windows. So the first
hours of each month, the length of a window and a horizon, are left out (purged).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cloud.training.history import History
from models.conditions import Condition
from models.features import LAGS

__all__ = [
    "NOTHING_WALKED",
    "Fold",
    "Learner",
    "Trained",
    "Walked",
    "folds",
    "learnable",
    "month_starts",
    "purge_ms",
    "walk",
]

Floats = NDArray[np.float64]
_OLDEST_H = 6  # a reading is at most this old at the last lag: twice an age limit of three hours
MIN_ONSETS = 20  # fewest windows with an onset, and fewest without, for training


class Trained(Protocol):
    """A fitted model."""

    def probability(self, values: Floats) -> Floats:
        """Return the probability of onset for each row of features."""
        ...


class Learner(Protocol):
    """Trains models of one family."""

    family: str

    def fit(self, examples: History) -> Trained:
        """Return a model that is fitted to these examples only."""
        ...


@dataclass(frozen=True, slots=True)
class Fold:
    """One split: train before `until_ms`, test in [from_ms, to_ms)."""

    until_ms: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Walked:
    """Probabilities of all test windows.

    Attributes:
        rows: Indices of the test windows in the examples.
        probability: Probabilities, one column for each learner.
    """

    rows: NDArray[np.int64]
    probability: Floats


NOTHING_WALKED = Walked(np.empty(0, np.int64), np.empty((0, 2)))  # of two learners


def purge_ms(condition: Condition) -> int:
    """Return the time between the begins of the last training step and the first test step."""
    ahead_ms = (condition.horizon_s + condition.step_s) * 1000  # labels reach to the step's end
    return (LAGS - 1 + _OLDEST_H) * 3_600_000 + ahead_ms


def month_starts(from_ms: int, to_ms: int) -> list[int]:
    """Return the first instant of each UTC month in [from_ms, to_ms)."""
    found, at = [], datetime.fromtimestamp(from_ms / 1000, tz=UTC)
    at = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while (at_ms := round(at.timestamp() * 1000)) < to_ms:
        if at_ms >= from_ms:
            found.append(at_ms)
        at = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return found


def folds(from_ms: int, to_ms: int, condition: Condition) -> list[Fold]:
    """Return a fold for each month that overlaps [from_ms, to_ms), limited to this span."""
    edges = sorted({from_ms, *month_starts(from_ms, to_ms), to_ms})
    return [Fold(begin, begin + purge_ms(condition), end) for begin, end in pairwise(edges)]


def walk(
    examples: History,
    splits: list[Fold],
    learners: list[Learner],
    told: Callable[[Fold], None] = lambda _: None,
) -> Walked:
    """Train and test the learners on every fold.

    Args:
        examples: Windows of one condition.
        splits: Folds from `folds`; those without enough onsets for training are left out.
        learners: Learners; each is fitted again for each fold.
        told: Function that is called before each fold.
    """
    rows, probabilities = [], []
    for fold, train, test in _cut(examples, splits):
        told(fold)
        known, asked = examples.rows(train), examples.features[test]
        made = [learner.fit(known).probability(asked) for learner in learners]
        rows.append(test)
        probabilities.append(np.stack(made, axis=1))
    if not rows:
        return Walked(np.empty(0, np.int64), np.empty((0, len(learners))))
    return Walked(np.concatenate(rows), np.concatenate(probabilities))


def _cut(
    examples: History, splits: list[Fold]
) -> Iterator[tuple[Fold, NDArray[np.int64], NDArray[np.int64]]]:
    begins = examples.begins_ms
    for fold in splits:
        train = np.flatnonzero(begins < fold.until_ms)
        test = np.flatnonzero((begins >= fold.from_ms) & (begins < fold.to_ms))
        if len(test) and learnable(examples.labels[train]):
            yield fold, train, test


def learnable(labels: Floats) -> bool:
    """Return whether both labels occur often enough for training."""
    onsets = int(labels.sum())
    return min(onsets, len(labels) - onsets) >= MIN_ONSETS
