"""Computes with sets of whole numbers as sorted runs (first to last), for the ledger. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Run", "RunMerger", "Runs", "count", "merge", "shown", "subtract"]


class Run(NamedTuple):
    """Numbers `first` to `last`, both included."""

    first: int
    last: int


Runs = tuple[Run, ...]  # ascending, with at least one missing number between two runs


class RunMerger:
    """Merges runs that are added in the order of their first numbers."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def add(self, first: int, last: int) -> None:
        """Adds numbers; an empty run (last < first) adds none.

        Raises:
            ValueError: `first` is below that of a run that was added before.
        """
        if last < first:
            return
        if not self._runs or first > self._runs[-1].last + 1:
            self._runs.append(Run(first, last))
            return
        top = self._runs[-1]
        if first < top.first:
            raise ValueError(f"{first} comes after {top.first}: runs must be sorted")
        self._runs[-1] = Run(top.first, max(top.last, last))

    def runs(self) -> Runs:
        """Returns the union of all added runs."""
        return tuple(self._runs)


def merge(runs: Iterable[tuple[int, int]]) -> Runs:
    """Returns the union of runs in any order, without empty ones."""
    merger = RunMerger()
    for first, last in sorted(runs):
        merger.add(first, last)
    return merger.runs()


def subtract(runs: Runs, taken: Runs) -> Runs:
    """Returns the numbers of `runs` that are not in `taken`."""
    return tuple(_remaining(runs, taken))


def _remaining(runs: Runs, taken: Runs) -> Iterator[Run]:
    index = 0
    for run in runs:
        first = run.first
        while index < len(taken) and taken[index].last < first:
            index += 1
        at = index
        while at < len(taken) and taken[at].first <= run.last:
            if first < taken[at].first:
                yield Run(first, taken[at].first - 1)
            first = max(first, taken[at].last + 1)
            at += 1
        if first <= run.last:
            yield Run(first, run.last)


def count(runs: Runs) -> int:
    """Returns the count of numbers."""
    return sum(run.last - run.first + 1 for run in runs)


def shown(runs: Runs) -> str:
    """Formats the runs for people: `1-80, 97, 100-120`, or `none`."""
    parts = (f"{r.first}" if r.first == r.last else f"{r.first}-{r.last}" for r in runs)
    return ", ".join(parts) or "none"
