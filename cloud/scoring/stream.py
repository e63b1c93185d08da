"""Runs scoring as a Spark stream that follows the lake: starts, watches and stops the query.

A query begins at the projection's cursor, the position of the last scored files. Spark's checkpoint
is in a temporary folder that is deleted with the query. Batches run one at a time in a thread of
Spark.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from cloud.errors import ProjectionError
from cloud.lake.cursors import SCORING_CURSOR, CursorStore
from cloud.lake.positions import Cursor
from cloud.lake.store import FolderStore
from cloud.scoring.batch import BatchResult, BatchScorer
from cloud.scoring.offsets import available, covers
from cloud.scoring.source import LakeSource, stream_options
from cloud.spark import converted
from contract.errors import DewlineError
from transport.backoff import Backoff

__all__ = ["Scoring", "ScoringTotals", "StreamSettings"]

_WATCH_S = 0.2
_IDLE_LIMIT_S = 10.0
_IDLE_POLL_S = 0.02

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Settings of the stream.

    Attributes:
        root: Folder of the lake.
        trigger_s: Time between begins of batches, s; a longer batch delays the next.
        files_per_batch: Most landing files in one batch.
        tasks: Most tasks into which Spark splits a read of the lake.
    """

    root: str
    trigger_s: float = 1.0
    files_per_batch: int = 200
    tasks: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringTotals:
    """Totals since the object was created; fields as in `BatchResult`."""

    batches_total: int = 0
    readings_total: int = 0
    undated_total: int = 0
    forecasts_total: int = 0
    removed_total: int = 0

    def after(self, batch: BatchResult) -> "ScoringTotals":
        """Return the totals including a batch."""
        return ScoringTotals(
            batches_total=self.batches_total + 1,
            readings_total=self.readings_total + batch.readings_total,
            undated_total=self.undated_total + batch.undated_total,
            forecasts_total=self.forecasts_total + batch.forecasts_total,
            removed_total=self.removed_total + batch.removed_total,
        )


class Scoring:
    """The scoring stream; the caller starts and stops the Spark session.

    Attributes:
        totals: Totals of all batches so far.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: StreamSettings,
        scorer: BatchScorer,
        cursors: CursorStore,
        told: Callable[[BatchResult], None] = lambda _: None,
    ) -> None:
        """Register the projection: from now on the fold keeps files that are not scored.

        Args:
            spark: The Spark session.
            settings: Settings of the stream.
            scorer: Scorer of batches, which moves the cursor.
            cursors: Cursors of the projection, only read here.
            told: Function that is called with the result of each batch.
        """
        cursors.register()
        self._spark = spark
        self._settings = settings
        self._scorer = scorer
        self._cursors = cursors
        self._told = told
        self._query: StreamingQuery | None = None
        self._checkpoint: tempfile.TemporaryDirectory[str] | None = None
        self._batch = threading.Lock()
        self._stopping = False
        self._failed: DewlineError | None = None
        self.totals = ScoringTotals()

    def start(self) -> None:
        """Follow the lake from the cursor on, until `stop`.

        Raises:
            ProjectionError: Spark did not start the query.
        """
        pace = f"{round(self._settings.trigger_s * 1000)} milliseconds"
        self._start(lambda writer: writer.trigger(processingTime=pace))

    def stop(self) -> None:
        """Stop the stream after the present batch; do nothing if no stream runs."""
        if self._query is None:
            return
        with self._batch:
            self._stopping = True  # later batches do nothing
        with converted(ProjectionError, "scoring: Spark's stream cannot be stopped"):
            _wait_idle(self._query)
            self._query.stop()
        self._query = None
        if self._checkpoint is not None:
            self._checkpoint.cleanup()
            self._checkpoint = None

    def check(self) -> None:
        """Raise the error of a stream that failed.

        Raises:
            DewlineError: Error of a batch or of the query; start again if it is retryable.
        """
        if self._failed is not None:
            raise self._failed
        if self._query is not None and not self._query.isActive:
            with converted(ProjectionError, "scoring failed"):
                self._query.awaitTermination(1)  # seconds; Spark refuses 0, and the query has ended
            raise ProjectionError("scoring: Spark's stream ended unexpectedly, without an error")

    def process_available(self) -> None:
        """Score all files that have landed so far, then return; a running stream continues.

        Raises:
            DewlineError: Error of a batch; the cursor is at the end of the last successful batch.
        """
        if self._query is not None:
            # Spark's own wait returns only after a later trigger without new files.
            target = available(FolderStore(Path(self._settings.root)))
            while not self.caught_up(target):
                self.check()
                time.sleep(_IDLE_POLL_S)
            return
        self._start(lambda writer: writer.trigger(availableNow=True))
        query = self._query
        assert query is not None
        try:
            with converted(ProjectionError, "scoring failed"):
                query.awaitTermination()
            if self._failed is not None:
                raise self._failed
        finally:
            self.stop()

    def caught_up(self, cursor: Cursor) -> bool:
        """Return whether all files that `cursor` has passed are scored.

        Raises:
            LakeError: The store failed.
        """
        return covers(self._cursors.load(), cursor)

    def run(self, stop: threading.Event, on_error: Callable[[DewlineError], None]) -> None:
        """Stream until `stop`; start again after retryable errors.

        Raises:
            DewlineError: An error that is not retryable.
        """
        backoff = Backoff()
        while not stop.is_set():
            before = self.totals.batches_total
            try:
                self.start()
                while not stop.wait(_WATCH_S):
                    self.check()
            except DewlineError as error:
                if not error.retryable:
                    raise
                on_error(error)
                if self.totals.batches_total > before:
                    backoff.reset()
                stop.wait(backoff.wait_s())
            finally:
                self.stop()

    def _start(self, paced: Callable[[DataStreamWriter], DataStreamWriter]) -> None:
        if self._query is not None:
            raise ProjectionError("scoring: the stream already runs")
        s = self._settings
        options = stream_options(s.root, SCORING_CURSOR, s.files_per_batch, s.tasks)
        self._failed, self._stopping = None, False
        self._checkpoint = tempfile.TemporaryDirectory(prefix="dewline-scoring-")
        with converted(ProjectionError, "scoring: Spark's stream did not start"):
            rows = self._spark.readStream.format(LakeSource.name()).options(**options).load()
            writer = paced(rows.writeStream.foreachBatch(self._on_batch))
            place = Path(self._checkpoint.name).as_uri()
            self._query = writer.option("checkpointLocation", place).start()

    def _on_batch(self, rows: DataFrame, _batch_id: int) -> None:
        with self._batch:
            if self._stopping or self._failed is not None:
                return  # Spark counts the batch as done, but the cursor does not move
            try:
                result = self._scorer.score(rows)
            except DewlineError as error:
                # `check` raises the error: Spark would bury its text in a long Java stack trace.
                self._failed = error
                return
            if result is not None:
                self.totals = self.totals.after(result)
                self._told(result)


def _wait_idle(query: StreamingQuery) -> None:
    """Wait for the end of a batch, because a stop while Spark writes a checkpoint logs errors."""
    give_up_at = time.monotonic() + _IDLE_LIMIT_S
    while query.isActive and query.status["isTriggerActive"] and time.monotonic() < give_up_at:
        time.sleep(_IDLE_POLL_S)
