"""Reads new rows of table `raw` as a batch, and writes it to Delta tables `readings` and `events`.

The fold appends landing files to `raw`. A batch contains the rows beyond this projection's cursor,
the position of the last processed files. The rows are decoded, with one row per key, and dated by
ClockFixes. Only the caller moves the cursor, after all targets are written.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.errors import LakeError
from cloud.lake.positions import Cursor, FileSequence
from cloud.spark import converted
from cloud.transforms.clean import flag
from cloud.transforms.dating import dated
from cloud.transforms.decode import decode
from cloud.transforms.deduplicate import deduplicate
from cloud.transforms.delta import Tables, merge, table_at
from cloud.transforms.kinds import expand
from cloud.transforms.period import UNSYNCED, with_period
from cloud.transforms.schema import EVENTS, PERIOD, READINGS
from contract.records import Kind

__all__ = [
    "Batch",
    "Part",
    "batch_after",
    "counts_of",
    "stored_counts",
    "write_events",
    "write_readings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Number of a batch's rows of one kind and period, and number of those without a date."""

    kind: Kind
    event_period: str
    rows_total: int
    undated_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows to be written; Spark keeps them as long as this value exists.

    Attributes:
        batch_id: Id of the batch, the same for every attempt from one cursor.
        rows: Rows with the columns of `DECODED` and `event_period`, one row per key.
        parts: Numbers of rows by kind and period.
        cursor: Cursor to save after all targets are written.
    """

    batch_id: str
    rows: DataFrame
    parts: tuple[Part, ...]
    cursor: Cursor

    def rows_total(self, kinds: Iterable[Kind]) -> int:
        """Return the number of rows of these kinds."""
        wanted = set(kinds)
        return sum(p.rows_total for p in self.parts if p.kind in wanted)


EVENT_KINDS = tuple(kind for kind in Kind if kind is not Kind.READING)


def batch_after(
    spark: SparkSession, tables: Tables, passed: Cursor, folded: Cursor
) -> Batch | None:
    """Return the rows of `raw` beyond `passed` and up to `folded`; None if there are none.

    Raises:
        LakeError: A table cannot be read.
    """
    spans = _spans(passed, folded)
    if not spans:
        return None
    raw = table_at(spark, tables.raw)
    if raw is None:
        raise LakeError(f"{tables.raw} does not exist, but the fold's cursor has passed files")
    with converted(LakeError, f"{tables.raw} cannot be decoded"):
        decoded = decode(raw.where(reduce(or_, map(_within, spans))))
        rows = _frozen(with_period(deduplicate(decoded), tables.period))
        parts = _parts(rows)
        if any(p.undated_total or p.kind is Kind.CLOCK_FIX for p in parts):
            fixed = any(p.kind is Kind.CLOCK_FIX for p in parts)
            rows = _frozen(dated(rows, tables, with_waiting=fixed))
            parts = _parts(rows)
    return Batch(batch_id=_batch_id(passed), rows=rows, parts=parts, cursor=folded)


@dataclass(frozen=True, slots=True)
class _Span:
    sequence: FileSequence
    passed: int
    last: int


def _spans(passed: Cursor, folded: Cursor) -> list[_Span]:
    spans = (_Span(s, passed.passed.get(s, 0), last) for s, last in folded.passed.items())
    return [span for span in spans if span.last > span.passed]


def _within(span: _Span) -> Column:
    # Delta can compare constants with its statistics, and skips files.
    sequence = span.sequence
    return (
        (F.col("node") == sequence.node)
        & (F.col("start_id") == sequence.start_id)
        & (F.col("lane") == sequence.lane.value)
        & F.col("n").between(span.passed + 1, span.last)
    )


def _batch_id(passed: Cursor) -> str:
    lines = (f"{s.node}/{s.start_id}/{s.lane}={n}" for s, n in sorted(passed.passed.items()))
    # Never change the prefix: an interrupted attempt of an older program may have left rows in the
    # staging tables. The same id deletes them.
    return "derive-" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _frozen(rows: DataFrame) -> DataFrame:
    # Do not use `persist`: Spark computes a persisted frame again when one of its source tables is
    # written. This frame contains waiting rows of the same tables to which it is written.
    return rows.localCheckpoint(eager=False)


def _parts(rows: DataFrame) -> tuple[Part, ...]:
    counts = rows.groupBy("kind", PERIOD).agg(
        F.count("*").alias("rows_total"),
        F.count_if(F.col("observed_at").isNull()).alias("undated_total"),
    )
    return tuple(
        Part(
            kind=Kind(r["kind"]),
            event_period=r[PERIOD],
            rows_total=r["rows_total"],
            undated_total=r["undated_total"],
        )
        for r in counts.collect()
    )


def write_readings(batch: Batch, tables: Tables) -> None:
    """Write the batch's readings to table `readings`.

    Raises:
        LakeError: The table is unchanged; call again.
    """
    rows = flag(batch.rows.where(F.col("kind") == Kind.READING.value)).select(READINGS.names)
    _write(batch, rows, tables.readings, (Kind.READING,))


def write_events(batch: Batch, tables: Tables) -> None:
    """Write the batch's records of all other kinds to table `events`.

    Raises:
        LakeError: The table is unchanged; call again.
    """
    rows = expand(batch.rows).select(EVENTS.names)
    _write(batch, rows, tables.events, EVENT_KINDS)


def _write(batch: Batch, rows: DataFrame, path: str, kinds: tuple[Kind, ...]) -> None:
    periods = {p.event_period for p in batch.parts if p.kind in kinds}
    if any(p.kind is Kind.CLOCK_FIX for p in batch.parts):
        periods.add(UNSYNCED)
    merge(rows, path, periods, batch.rows_total(kinds))


def counts_of(parts: Iterable[Part]) -> Mapping[Kind, int]:
    """Return the number of rows of each kind."""
    totals: dict[Kind, int] = {}
    for part in parts:
        totals[part.kind] = totals.get(part.kind, 0) + part.rows_total
    return totals


def stored_counts(spark: SparkSession, tables: Tables) -> Mapping[Kind, int]:
    """Return the number of rows of each kind in tables `readings` and `events`.

    Raises:
        LakeError: A table cannot be read.
    """
    readings, events = table_at(spark, tables.readings), table_at(spark, tables.events)
    totals: dict[Kind, int] = {}
    with converted(LakeError, f"{tables.root}: tables readings and events cannot be read"):
        if readings is not None:
            totals[Kind.READING] = readings.count()
        if events is not None:
            counts = events.groupBy("kind").agg(F.count("*").alias("rows_total")).collect()
            totals |= {Kind(r["kind"]): r["rows_total"] for r in counts}
    return totals
