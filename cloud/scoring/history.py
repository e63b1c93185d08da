"""Reads the readings for forecasts: from table `readings`, and from newer files of the lake.

The transform fills the table up to its cursor, the last files that it has processed. The files from
there to the end of a batch are read from the lake. Together, table and files contain all readings
up to that end, even if the transform is behind the scoring.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.lake.positions import Cursor
from cloud.scoring.arrivals import Arrival, devices_of
from cloud.scoring.forecast import DAY_MS, TimeSpan, day_of
from cloud.scoring.offsets import covers
from cloud.scoring.source import LakeSource, span_options
from cloud.transforms.dating import dated
from cloud.transforms.deduplicate import deduplicate
from cloud.transforms.delta import Tables, table_at
from cloud.transforms.period import with_period
from cloud.transforms.schema import SOURCE
from cloud.transforms.signals import of_signals
from contract.records import Kind
from contract.signals import Signal

__all__ = ["KnownReadings", "ReadingSource"]

_COLUMNS = (
    *("device_id", "stream_id", "seq", "observed_at", "received_at"),
    *("sensor_id", "quantity", "value", "quality", SOURCE),
)


@dataclass(frozen=True, slots=True)
class KnownReadings:
    """All readings up to the end of a batch.

    Attributes:
        stored: Table `readings`; None if it does not exist.
        landed: Readings from files that are not yet in the table; None if there are none.
    """

    stored: DataFrame | None
    landed: DataFrame | None

    def of(self, spans: Mapping[str, TimeSpan], wanted: frozenset[Signal], warm: int) -> DataFrame:
        """Return dated readings of the wanted signals on which each device's span depends."""
        inside = reduce(or_, (_within(device, span, warm) for device, span in spans.items()))
        received_ms = F.unix_millis("received_at").alias("received_ms")
        rows = self._readings().where(inside)
        return of_signals(rows, wanted, ("stream_id", received_ms, SOURCE))

    def dates_of(self, streams: DataFrame) -> Mapping[str, Arrival]:
        """Return each device's arrival: the instants of dated readings in the streams.

        Args:
            streams: Columns `device_id`, `stream_id` and `last`, the last number to include.
        """
        rows = self._readings().join(F.broadcast(streams), ["device_id", "stream_id"])
        at_ms = F.unix_millis("observed_at")
        told = rows.where((F.col("seq") <= F.col("last")) & at_ms.isNotNull())
        found = told.groupBy("device_id").agg(
            F.min(at_ms).alias("first_ms"), F.max(at_ms).alias("last_ms")
        )
        return devices_of(found.collect())

    def _readings(self) -> DataFrame:
        parts = [p.select(*_COLUMNS) for p in (self.stored, self.landed) if p is not None]
        return reduce(DataFrame.unionByName, parts)


class ReadingSource:
    """Opens the known readings; one object for each session."""

    def __init__(self, spark: SparkSession, tables: Tables, tasks: int) -> None:
        spark.dataSource.register(LakeSource)
        self._spark = spark
        self._tables = tables
        self._tasks = tasks

    def known(self, transformed: Cursor, until: Cursor, *, dates_change: bool) -> KnownReadings:
        """Return all readings up to `until`.

        Args:
            transformed: The transform's cursor, loaded before this call, so that the table
                contains at least the files up to the cursor.
            until: The batch's end.
            dates_change: Whether files beyond the transform's cursor may contain undated readings
                or clock fixes. To date these readings takes two more Spark jobs.

        Raises:
            LakeError: A table cannot be read.
        """
        stored = table_at(self._spark, self._tables.readings)
        if stored is not None and covers(transformed, until):
            return KnownReadings(stored, None)
        options = span_options(self._tables.root, transformed, until, self._tasks)
        landed = self._spark.read.format(LakeSource.name()).options(**options).load()
        landed = landed.where(F.col("kind").isNotNull())
        if dates_change:
            placed = with_period(deduplicate(landed), self._tables.period)
            landed = dated(placed, self._tables, with_waiting=True)
        return KnownReadings(stored, landed.where(F.col("kind") == Kind.READING.value))


def _within(device: str, span: TimeSpan, warm: int) -> Column:
    first = F.timestamp_millis(F.lit(day_of(span.from_ms) - warm * DAY_MS))
    end = F.timestamp_millis(F.lit(span.until_ms))
    at = F.col("observed_at")
    return (F.col("device_id") == device) & (at >= first) & (at < end)
