"""Runs the transform: raw -> warehouse -> Delta tables -> summaries -> cursor, in this order.

The warehouse (MySQL) is written before the Delta tables, because the rows that wait for a ClockFix
are read from the Delta tables. If these rows were moved there first, a run that was killed before
MySQL would not find them again. In this order, every step can be repeated without another result,
and the next run completes a killed one.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import SparkSession

from cloud.lake.positions import Cursor
from cloud.transforms.batch import (
    Batch,
    batch_after,
    counts_of,
    write_events,
    write_readings,
)
from cloud.transforms.delta import Tables
from cloud.transforms.load import Loader, load
from contract.records import Kind

__all__ = ["CursorReader", "CursorWriter", "Summarizer", "Transform", "TransformResult"]


class CursorReader(Protocol):
    """The cursor of another projection: the position of its last processed files."""

    def load(self) -> Cursor:
        """Return the latest cursor."""
        ...


class CursorWriter(Protocol):
    """The cursor of this projection."""

    def load(self) -> Cursor:
        """Return the latest cursor."""
        ...

    def save(self, cursor: Cursor) -> None:
        """Save the next cursor."""
        ...


class Summarizer(Protocol):
    """Summaries of readings, such as hourly means."""

    def mark(self, batch: Batch) -> None:
        """Record which days a batch changes, before the tables change."""
        ...

    def catch_up(self) -> int:
        """Summarize the recorded days from the tables; return their number."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformResult:
    """Result of one run.

    Attributes:
        rows: Number of distinct records of each kind, including those that existed before.
        seconds: Duration of each step, s.
    """

    rows: Mapping[Kind, int]
    seconds: Mapping[str, float]


class Transform:
    """Runs the projection; the caller starts and stops the Spark session."""

    def __init__(  # noqa: PLR0913 - the composition of a projection: its sources and targets
        self,
        spark: SparkSession,
        tables: Tables,
        *,
        folded: CursorReader,
        cursor: CursorWriter,
        loader: Loader,
        summarizer: Summarizer | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spark = spark
        self._tables = tables
        self._folded = folded
        self._cursor = cursor
        self._loader = loader
        self._summarizer = summarizer
        self._now_s = now_s

    def run(self) -> TransformResult | None:
        """Process the files that the fold has appended since the last run.

        Returns:
            The result; None if there are no new files.

        Raises:
            LakeError: A table cannot be read or written; the cursor does not move.
            WarehouseError: MySQL did not store everything; the cursor does not move.
            ProjectionError: Another process runs this projection too.
        """
        began_s = self._now_s()
        batch = batch_after(self._spark, self._tables, self._cursor.load(), self._folded.load())
        if batch is None:
            self._catch_up()  # days that a migration or a changed declaration has marked
            return None
        seconds = {"decode": self._now_s() - began_s} | self._write(batch)
        return TransformResult(rows=counts_of(batch.parts), seconds=seconds)

    def _write(self, batch: Batch) -> dict[str, float]:
        steps: Mapping[str, Callable[[], None]] = {
            "marks": lambda: self._mark(batch),
            "warehouse": lambda: load(batch, self._loader),
            "tables": lambda: _write_tables(batch, self._tables),
            "summaries": self._catch_up,
            "cursor": lambda: self._cursor.save(batch.cursor),
        }
        seconds = {}
        for name, step in steps.items():
            began_s = self._now_s()
            step()
            seconds[name] = self._now_s() - began_s
        return seconds

    def _mark(self, batch: Batch) -> None:
        if self._summarizer is not None:
            self._summarizer.mark(batch)

    def _catch_up(self) -> None:
        if self._summarizer is not None:
            self._summarizer.catch_up()


def _write_tables(batch: Batch, tables: Tables) -> None:
    with ThreadPoolExecutor() as beside:
        events = beside.submit(write_events, batch, tables)
        write_readings(batch, tables)
        events.result()
