"""Gives dates to rows that were recorded before the gateway's clock was believable.

A ClockFix record of the same stream names the UTC time of an offset. The functions compute the same
as `cloud.clock_fix`, but on columns.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.transforms.schema import require
from contract.keys import UNSYNCED_DAY

__all__ = ["FIXES", "date_rows", "first_fixes", "fixed_observed_at"]

_STREAM = ("device_id", "stream_id")
FIXES = (*_STREAM, "fix_offset_ms", "fix_utc_at")
_EARLIEST_MS = -62_135_596_800_000  # years 1 to 9999, as in cloud.clock_fix
_LATEST_MS = 253_402_300_799_999


def fixed_observed_at(offset_ms: Column, fix_offset_ms: Column, fix_utc_at: Column) -> Column:
    """Return a record's UTC instant from its stream's ClockFix; null if it is not a valid date.

    Args:
        offset_ms: Monotonic offset of the record in its stream.
        fix_offset_ms: Monotonic offset of the ClockFix record.
        fix_utc_at: UTC timestamp in the ClockFix.
    """
    instant_ms = F.unix_millis(fix_utc_at) + offset_ms - fix_offset_ms
    at = F.timestamp_millis(F.when(instant_ms.between(_EARLIEST_MS, _LATEST_MS), instant_ms))
    return F.when(F.to_date(at) != F.lit(UNSYNCED_DAY), at)


def first_fixes(clock_fixes: DataFrame) -> DataFrame:
    """Return the ClockFix with the lowest number of each stream, with columns `FIXES`."""
    require(clock_fixes, (*_STREAM, "seq", "offset_ms", "utc_at"))
    first = F.min_by(F.struct("offset_ms", "utc_at"), "seq")
    return (
        clock_fixes.groupBy(*_STREAM)
        .agg(first.alias("fix"))
        .select(
            *_STREAM,
            F.col("fix.offset_ms").alias("fix_offset_ms"),
            F.col("fix.utc_at").alias("fix_utc_at"),
        )
    )


def date_rows(rows: DataFrame, fixes: DataFrame) -> DataFrame:
    """Return the rows; those without `observed_at` are dated if `fixes` has their stream."""
    require(rows, (*_STREAM, "offset_ms", "observed_at", "event_day"))
    require(fixes, FIXES)
    told = fixed_observed_at(F.col("offset_ms"), F.col("fix_offset_ms"), F.col("fix_utc_at"))
    joined = rows.join(F.broadcast(fixes), list(_STREAM), "left")
    undated = F.col("observed_at").isNull()
    return (
        joined.withColumn("_told", F.when(undated, told))
        .withColumn("event_day", F.coalesce(F.to_date("_told"), "event_day"))
        .withColumn("observed_at", F.coalesce("observed_at", "_told"))
        .select(*rows.columns)
    )
