"""Runs one projection: reads the lake from its cursor, applies files, then moves the cursor.

The order read -> apply -> cursor ensures that no file is skipped. Files that were applied before
the cursor was saved are applied again, so `apply` must be idempotent.
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
    """Writes the lake's content to a target, under keys, so that repeats change nothing."""

    name: str

    def apply(self, files: Sequence[LandedFile]) -> None:
        """Writes everything in `files`; returns when the target has stored it.

        Raises:
            ProjectionError: Some of it was not stored; the same batch is applied again.
        """
        ...


class ProjectionRunner:
    """Applies the lake to one projection. The constructor registers the projection's cursor."""

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
        """Applies all files that are in the lake now and beyond the cursor.

        Returns:
            Number of applied files.

        Raises:
            DewlineError: Lake, cursor or projection failed; files applied before stay applied.
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
        before_pass: Callable[[], object] | None = None,
    ) -> None:
        """Applies new files until `stop`; waits `poll_s` after each pass.

        Args:
            stop: Event that ends the loop; checked between passes.
            poll_s: Seconds between two passes.
            on_error: Called with each retryable failure, before the wait for the retry.
            before_pass: Called before each pass; its failures are handled as those of a pass.

        Raises:
            DewlineError: A failure that is not retryable.
        """
        while not stop.is_set():
            try:
                if before_pass is not None:
                    before_pass()
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
            self._cursors.save(cursor)  # after the apply: see the module's docstring
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
