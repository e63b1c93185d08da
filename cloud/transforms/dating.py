"""Dates a batch by the known ClockFixes, and adds the stored rows that waited for one.

The module reads tables `readings` and `events` and does not write.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.transforms.clock_fix import date_rows, first_fixes
from cloud.transforms.deduplicate import deduplicate
from cloud.transforms.delta import Tables, table_at
from cloud.transforms.kinds import collapse, of_kind
from cloud.transforms.period import UNSYNCED, with_period
from cloud.transforms.schema import DECODED, PERIOD
from contract.records import Kind

__all__ = ["dated"]

_STREAM = ["device_id", "stream_id"]


def dated(rows: DataFrame, tables: Tables, *, with_waiting: bool) -> DataFrame:
    """Return the rows; undated rows of streams that have a ClockFix are dated.

    Args:
        rows: Rows with the columns of `DECODED` and `event_period`, one row per key.
        tables: Tables with stored fixes and waiting rows.
        with_waiting: Whether the rows contain fixes: then the stored rows that waited for these
            fixes are added.
    """
    spark = rows.sparkSession
    events = table_at(spark, tables.events)
    found = _fixes(rows, events)
    # There is one fix for each stream. To collect these few rows here is cheaper than to compute
    # them again in every join.
    fixes = spark.createDataFrame(found.collect(), found.schema)
    batch = rows.select(DECODED.names)
    if with_waiting and events is not None:
        batch = batch.unionByName(_waiting(collapse(events), fixes))
    readings = table_at(spark, tables.readings) if with_waiting else None
    if readings is not None:
        named = readings.withColumn("kind", F.lit(Kind.READING.value))
        batch = batch.unionByName(_waiting(named, fixes))
    return with_period(date_rows(deduplicate(batch), fixes), tables.period)


def _fixes(batch: DataFrame, events: DataFrame | None) -> DataFrame:
    """Return the first fix, of the batch or stored, of each stream in the batch."""
    known = of_kind(batch, Kind.CLOCK_FIX)
    if events is not None:
        stored = events.where(F.col("kind") == Kind.CLOCK_FIX.value)
        known = known.unionByName(stored.select(known.columns))
    return first_fixes(known).join(batch.select(_STREAM).distinct(), _STREAM, "left_semi")


def _waiting(stored: DataFrame, fixes: DataFrame) -> DataFrame:
    """Return stored, undated rows of streams that have a fix, with the columns of `DECODED`."""
    undated = (F.col(PERIOD) == UNSYNCED) & F.col("observed_at").isNull()
    chosen = stored.where(undated).join(F.broadcast(fixes), _STREAM, "left_semi")
    absent = [f for f in DECODED.fields if f.name not in stored.columns]
    nulls = {f.name: F.lit(None).cast(f.dataType) for f in absent}
    return chosen.withColumns(nulls).select(DECODED.names)
