"""Walk-forward: months, trained on all before each, purged where windows would overlap.

Pure. A model is never asked about a window that shares an hour with one it learned from: the first
hours of each month, as many as a window's span and a horizon, are not judged.
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
_OLDEST_H = 6  # before the last lag, at most: an age limit of three hours, doubled
MIN_ONSETS = 20  # windows with a beginning, to learn anything from


class Trained(Protocol):
    """A model that was fitted."""

    def probability(self, values: Floats) -> Floats:
        """Probability of onset for each row of features."""
        ...


class Learner(Protocol):
    """A way to make a model."""

    family: str

    def fit(self, examples: History) -> Trained:
        """A model that learned from these examples and nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class Fold:
    """One split: train before `until_ms`, test in [from_ms, to_ms)."""

    until_ms: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Walked:
    """Probabilities for the windows that some fold judged.

    Attributes:
        rows: Which rows of the examples.
        probability: One column a learner.
    """

    rows: NDArray[np.int64]
    probability: Floats


def purge_ms(condition: Condition) -> int:
    """How long after the last training step's begin the first one is judged."""
    ahead_ms = (condition.horizon_s + condition.step_s) * 1000  # the last step's end is a label too
    return (LAGS - 1 + _OLDEST_H) * 3_600_000 + ahead_ms


def month_starts(from_ms: int, to_ms: int) -> list[int]:
    """The first instant of each UTC month in [from_ms, to_ms)."""
    found, at = [], datetime.fromtimestamp(from_ms / 1000, tz=UTC)
    at = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while (at_ms := round(at.timestamp() * 1000)) < to_ms:
        if at_ms >= from_ms:
            found.append(at_ms)
        at = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return found


def folds(from_ms: int, to_ms: int, condition: Condition) -> list[Fold]:
    """A fold for each month that [from_ms, to_ms) touches, cut to it."""
    edges = sorted({from_ms, *month_starts(from_ms, to_ms), to_ms})
    return [Fold(begin, begin + purge_ms(condition), end) for begin, end in pairwise(edges)]


def walk(
    examples: History,
    splits: list[Fold],
    learners: list[Learner],
    told: Callable[[Fold], None] = lambda _: None,
) -> Walked:
    """Judges learners on every fold.

    Args:
        examples: Of one condition.
        splits: From `folds`; one without enough onsets before it is left out.
        learners: Each is fitted anew for each fold.
        told: Called before each fold.
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
    """Whether both answers occur often enough to learn from."""
    onsets = int(labels.sum())
    return min(onsets, len(labels) - onsets) >= MIN_ONSETS
