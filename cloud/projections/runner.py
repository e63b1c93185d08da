"""Runs one projection: reads the lake from its cursor, applies, then moves the cursor.

The order read -> apply -> cursor is the whole guarantee: what was applied without its cursor is
applied again, so `apply` must be idempotent. Knows no target.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from cloud.lake.cursors import CursorStore
from cloud.lake.positions import Lake, LandedFile
from contract.errors import DewlineError
from transport.backoff import Backoff

__all__ = ["Projection", "ProjectionRunner"]

BATCH_BLOCKS = 2_000


class Projection(Protocol):
    """Writes what the lake holds somewhere, keyed: twice is once."""

    name: str

    def apply(self, files: Sequence[LandedFile]) -> None:
        """Writes everything in `files`; returns when the target has it.

        Raises:
            ProjectionError: Some of it was not taken; the same batch comes again.
        """
        ...


class ProjectionRunner:
    """Moves one projection along the lake. Constructing it registers the projection's cursor."""

    def __init__(
        self,
        lake: Lake,
        cursors: CursorStore,
        projection: Projection,
        batch_blocks: int = BATCH_BLOCKS,
        backoff: Backoff | None = None,
    ) -> None:
        self._lake = lake
        self._cursors = cursors
        self._projection = projection
        self._batch_blocks = batch_blocks
        self._backoff = backoff or Backoff()
        self._cursors.register()

    def run_once(self) -> int:
        """Applies everything that is in the lake now and beyond the cursor.

        Returns:
            How many files were applied.

        Raises:
            DewlineError: Of the lake, the cursor or the projection; what was applied before stays.
        """
        total = 0
        while done := self._pass():
            total += done
        return total

    def follow(
        self,
        stop: threading.Event,
        poll_s: float,
        on_error: Callable[[DewlineError], None],
    ) -> None:
        """Runs until `stop`, waiting `poll_s` when there is nothing new.

        Args:
            stop: Set by whoever wants the end; noticed between passes.
            poll_s: Seconds between looks at the lake.
            on_error: Told of each retryable failure, before the wait that follows it.

        Raises:
            DewlineError: One that is not retryable.
        """
        while not stop.is_set():
            try:
                self._pass()
            except DewlineError as error:
                if not error.retryable:
                    raise
                on_error(error)
                stop.wait(self._backoff.wait_s())
            else:
                self._backoff.reset()
                stop.wait(poll_s)

    def _pass(self) -> int:
        cursor = self._cursors.load()
        total = 0
        for batch in _batches(self._lake.after(cursor), self._batch_blocks):
            self._projection.apply(batch)
            cursor = cursor.after([f.position for f in batch])
            self._cursors.save(cursor)  # only now: see the module's docstring
            total += len(batch)
        return total


def _batches(files: Iterable[LandedFile], blocks: int) -> Iterator[list[LandedFile]]:
    batch: list[LandedFile] = []
    held = 0
    for file in files:
        batch.append(file)
        held += len(file.blocks)
        if held >= blocks:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
