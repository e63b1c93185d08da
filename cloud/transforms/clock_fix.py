"""Gives dates to rows that were recorded before the gateway's clock was believable.

A ClockFix record of the same stream names the UTC time of an offset. The functions compute the same
as `cloud.clock_fix`, but on columns.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.plausible import AHEAD_MS, FIRST_UTC_MS
from cloud.transforms.schema import require

__all__ = ["FIXES", "date_rows", "first_fixes", "fixed_observed_at", "plausible_ms"]

_STREAM = ("device_id", "stream_id")
FIXES = (*_STREAM, "fix_offset_ms", "fix_utc_at")


def plausible_ms(at_ms: Column, received_at: Column) -> Column:
    """Return whether instants are plausible, as `cloud.plausible.plausible_instant`.

    Args:
        at_ms: The records' times, ms since 1970 UTC.
        received_at: Timestamps when the records were received.
    """
    return at_ms.between(F.lit(FIRST_UTC_MS), F.unix_millis(received_at) + AHEAD_MS)


def fixed_observed_at(
    offset_ms: Column, fix_offset_ms: Column, fix_utc_at: Column, received_at: Column
) -> Column:
    """Return a record's UTC instant from its stream's ClockFix; null if it is not plausible.

    Args:
        offset_ms: Monotonic offset of the record in its stream.
        fix_offset_ms: Monotonic offset of the ClockFix record.
        fix_utc_at: UTC timestamp in the ClockFix.
        received_at: Timestamp when the record was received.
    """
    instant_ms = F.unix_millis(fix_utc_at) + offset_ms - fix_offset_ms
    return F.timestamp_millis(F.when(plausible_ms(instant_ms, received_at), instant_ms))


def first_fixes(clock_fixes: DataFrame) -> DataFrame:
    """Return the ClockFix with the lowest number of each stream, with columns `FIXES`.

    Fixes that are not plausible are left out: an older program may have stored them.
    """
    require(clock_fixes, (*_STREAM, "seq", "offset_ms", "utc_at", "received_at"))
    first = F.min_by(F.struct("offset_ms", "utc_at"), "seq")
    return (
        clock_fixes.where(plausible_ms(F.unix_millis("utc_at"), F.col("received_at")))
        .groupBy(*_STREAM)
        .agg(first.alias("fix"))
        .select(
            *_STREAM,
            F.col("fix.offset_ms").alias("fix_offset_ms"),
            F.col("fix.utc_at").alias("fix_utc_at"),
        )
    )


def date_rows(rows: DataFrame, fixes: DataFrame) -> DataFrame:
    """Return the rows; those without `observed_at` are dated if `fixes` has their stream."""
    require(rows, (*_STREAM, "offset_ms", "observed_at", "event_day", "received_at"))
    require(fixes, FIXES)
    fix = (F.col("fix_offset_ms"), F.col("fix_utc_at"))
    told = fixed_observed_at(F.col("offset_ms"), *fix, F.col("received_at"))
    joined = rows.join(F.broadcast(fixes), list(_STREAM), "left")
    undated = F.col("observed_at").isNull()
    return (
        joined.withColumn("_told", F.when(undated, told))
        .withColumn("event_day", F.coalesce(F.to_date("_told"), "event_day"))
        .withColumn("observed_at", F.coalesce("observed_at", "_told"))
        .select(*rows.columns)
    )
