"""Keeps the warehouse's summaries as the lake's readings: marks changed days, summarizes them.

A day is marked in MySQL before its readings change in the lake's tables, and taken off the queue in
the transaction that replaces its summaries. So a run that is killed at any moment leaves no day
behind: the next run summarizes the days that are still marked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from sqlalchemy import Engine

from cloud.aggregates.compute import summaries, touched_days
from cloud.aggregates.conditions import reach_ms_of
from cloud.aggregates.days import Due, Part, parts_of
from cloud.aggregates.dimensions import Declared, sync_declared
from cloud.config import Period
from cloud.errors import WarehouseError
from cloud.spark import converted
from cloud.transforms.batch import Batch
from cloud.transforms.delta import Tables, table_at
from cloud.warehouse.aggregate_rows import (
    StagedDay,
    clear_staged,
    due_days,
    mark_due,
    new_attempt,
    replace_days,
)
from cloud.warehouse.aggregate_tables import STAGED_ROWS
from cloud.warehouse.jdbc import JdbcWriter
from cloud.warehouse.partitions import add_months
from cloud.warehouse.retention import MONTHLY, Kept, retire, utc_today
from contract.records import Kind

__all__ = ["Summaries"]

_DAYS_AT_ONCE = 20_000  # in one transaction, about 2 million rows of MySQL


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """Summaries of one lake in one warehouse.

    Attributes:
        spark: A running Spark session.
        tables: Paths of the lake's tables.
        engine: The warehouse.
        writer: Appends Spark's rows to the staging table.
        declared: Sites and conditions of the configuration.
        kept: How long MySQL keeps rows.
        today: Returns the present UTC day.
    """

    spark: SparkSession
    tables: Tables
    engine: Engine
    writer: JdbcWriter
    declared: Declared
    kept: Kept = field(default_factory=Kept)
    today: Callable[[], date] = utc_today

    def mark(self, batch: Batch) -> None:
        """Mark the days that a batch touches; call before a table is written.

        Raises:
            WarehouseError: Nothing is marked.
        """
        if batch.rows_total((Kind.READING,)):
            readings = batch.rows.where(F.col("kind") == Kind.READING.value)
            with converted(WarehouseError, "the days of a batch cannot be listed"):
                days = touched_days(readings)
            for table in MONTHLY:
                add_months(self.engine, table, {day for _, day in days})
            mark_due(self.engine, days)

    def catch_up(self) -> int:
        """Summarize every marked day; return how many there were.

        Raises:
            LakeError: Table `readings` cannot be read.
            WarehouseError: Some days are still marked; call again.
        """
        sync_declared(self.engine, self.declared)
        done = 0
        while due := due_days(self.engine, _DAYS_AT_ONCE):
            parts = parts_of(
                (Due(*day) for day in due),
                self.declared.zones(),
                reach_ms_of(self.declared.conditions or ()),
            )
            self._summarize(parts)
            done += len(due)
        retire(self.engine, self.kept, self.today())
        return done

    def _summarize(self, parts: Sequence[Part]) -> None:
        attempt = new_attempt()
        clear_staged(self.engine)
        readings = table_at(self.spark, self.tables.readings)
        if readings is not None:
            conditions = self.declared.conditions or ()
            found = summaries(readings, parts, conditions, self._period_of)
            self.writer.append(_staged(found, attempt), STAGED_ROWS.name)
        days = {day for part in parts for day in _replaced(part)}
        replace_days(self.engine, attempt, days)

    def _period_of(self, day: date) -> str:
        return f"{day:%Y-%m-%d}" if self.tables.period is Period.DAY else f"{day:%Y-%m}"


def _staged(rows: DataFrame, attempt: str) -> DataFrame:
    return rows.select(F.lit(attempt).alias("attempt"), *rows.columns)


def _replaced(part: Part) -> list[StagedDay]:
    frames = {
        "utc": part.utc_frames(),
        "site": part.local_frames(),
        "condition": part.condition_frames(),
    }
    return [
        StagedDay(calendar, part.device_id, frame.day)
        for calendar, own in frames.items()
        for frame in own
    ]
