"""The Spark projection as a whole: raw -> warehouse -> Delta tables -> cursor, in this order.

MySQL before Delta: rows that waited for a ClockFix are found where they wait, in the Delta tables.
Were they moved there first, a run that died before MySQL would never find them again; this way
round every step can be repeated. Twice is once, and a killed run leaves nothing that the next one
does not complete.
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

__all__ = ["CursorReader", "CursorWriter", "Transform", "TransformResult"]


class CursorReader(Protocol):
    """A cursor that somebody else moves."""

    def load(self) -> Cursor:
        """The latest one."""
        ...


class CursorWriter(Protocol):
    """The cursor of this projection."""

    def load(self) -> Cursor:
        """The latest one."""
        ...

    def save(self, cursor: Cursor) -> None:
        """Writes the next one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformResult:
    """What one run wrote.

    Attributes:
        rows: Distinct records per kind, the ones that stood there before included.
        seconds: Time of each step, s.
    """

    rows: Mapping[Kind, int]
    seconds: Mapping[str, float]


class Transform:
    """Runs the projection on a session that the caller started and stops."""

    def __init__(  # the composition of a projection: its sources and targets
        self,
        spark: SparkSession,
        tables: Tables,
        *,
        folded: CursorReader,
        cursor: CursorWriter,
        loader: Loader,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spark = spark
        self._tables = tables
        self._folded = folded
        self._cursor = cursor
        self._loader = loader
        self._now_s = now_s

    def run(self) -> TransformResult | None:
        """Writes what the fold has appended since the last run; None if that is nothing.

        Raises:
            LakeError: A table cannot be read or written; the cursor stays.
            WarehouseError: MySQL did not take everything; the cursor stays.
            ProjectionError: Another process runs this projection too.
        """
        began_s = self._now_s()
        batch = batch_after(self._spark, self._tables, self._cursor.load(), self._folded.load())
        if batch is None:
            return None
        seconds = {"decode": self._now_s() - began_s} | self._write(batch)
        return TransformResult(rows=counts_of(batch.parts), seconds=seconds)

    def _write(self, batch: Batch) -> dict[str, float]:
        steps: Mapping[str, Callable[[], None]] = {
            "warehouse": lambda: load(batch, self._loader),
            "tables": lambda: _write_tables(batch, self._tables),
            "cursor": lambda: self._cursor.save(batch.cursor),
        }
        seconds = {}
        for name, step in steps.items():
            began_s = self._now_s()
            step()
            seconds[name] = self._now_s() - began_s
        return seconds


def _write_tables(batch: Batch, tables: Tables) -> None:
    with ThreadPoolExecutor() as beside:
        events = beside.submit(write_events, batch, tables)
        write_readings(batch, tables)
        events.result()
