"""Computes summaries in Spark's workers from the lake's table `readings`, for the days of parts."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from pyspark.sql.pandas.types import from_arrow_schema

from cloud.aggregates.conditions import condition_rows
from cloud.aggregates.days import Part
from cloud.aggregates.schema import SUMMARIES
from cloud.aggregates.series import series_rows
from cloud.plausible import AHEAD_MS, FIRST_UTC_MS
from cloud.transforms.schema import require
from cloud.transforms.signals import usable
from contract.records import Statistic
from models.conditions import Condition

__all__ = ["summaries", "touched_days"]

_NEEDED = (
    *("event_day", "event_period", "stream_id", "observed_at", "received_at", "calibration"),
    "statistic",
)
_GROUP = ["device_id", "part"]
Work = Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]


def touched_days(readings: DataFrame) -> list[tuple[str, date]]:
    """Return the devices and UTC days of dated readings."""
    require(readings, ("device_id", "event_day", "observed_at"))
    days = readings.where(F.col("observed_at").isNotNull()).select("device_id", "event_day")
    return [(row["device_id"], row["event_day"]) for row in days.distinct().collect()]


def summaries(
    readings: DataFrame,
    parts: Sequence[Part],
    conditions: tuple[Condition, ...],
    period_of: Callable[[date], str],
) -> DataFrame:
    """Return the summaries of the parts' days, with the columns of `SUMMARIES`.

    Args:
        readings: All of table `readings`.
        parts: Days of devices, at least one.
        conditions: Conditions to summarize.
        period_of: Returns the value of the table's partition column for a day.
    """
    require(readings, _NEEDED)
    wanted = _wanted(readings.sparkSession, parts)
    periods = sorted({period_of(day) for part in parts for day in part.needed()})
    own = readings.where(F.col("event_period").isin(periods) & _is_plausible())
    more = ("event_day", "stream_id", "calibration", _is_sample().alias("is_sample"))
    rows = usable(own, more)
    joined = rows.join(F.broadcast(wanted), ["device_id", "event_day"]).drop("event_day")
    grouped = joined.groupBy(*_GROUP)
    return grouped.applyInArrow(_work(parts, conditions), from_arrow_schema(SUMMARIES))


def _wanted(spark: SparkSession, parts: Iterable[Part]) -> DataFrame:
    rows = [(p.device_id, day, p.number) for p in parts for day in p.needed()]
    return spark.createDataFrame(rows, "device_id string, event_day date, part int")


def _is_plausible() -> Column:
    # Only an older program has stored other rows, see `cloud.plausible`.
    at_ms, latest_ms = F.unix_millis("observed_at"), F.unix_millis("received_at") + AHEAD_MS
    return (at_ms >= FIRST_UTC_MS) & (at_ms <= latest_ms)


def _is_sample() -> Column:
    # A thinned mean stands for its span. The lowest and highest of a span are no samples.
    thinned = F.col("statistic").isin(Statistic.MIN.value, Statistic.MAX.value)
    return ~F.coalesce(thinned, F.lit(False))


def _work(parts: Sequence[Part], conditions: tuple[Condition, ...]) -> Work:
    by_key = {(part.device_id, part.number): part for part in parts}

    def work(key: tuple[pa.Scalar, ...], rows: pa.Table) -> pa.Table:
        part = by_key[key[0].as_py(), key[1].as_py()]
        # Two streams may have readings of one instant; the order must not depend on Spark.
        own = rows.sort_by([(name, "ascending") for name in ("at_ms", "seq", "stream_id")])
        found = (series_rows(own, part), condition_rows(own, part, conditions))
        return pa.concat_tables(found)

    return work
