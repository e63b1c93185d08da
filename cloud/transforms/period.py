"""Adds a row's partition in tables `readings` and `events`: month or day of its event day."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.config import Period
from cloud.transforms.schema import PERIOD, require
from contract.keys import UNSYNCED_DAY

__all__ = ["UNSYNCED", "with_period"]

UNSYNCED = "unsynced"  # partition of rows that wait for a ClockFix
_PATTERNS = {Period.DAY: "yyyy-MM-dd", Period.MONTH: "yyyy-MM"}


def with_period(rows: DataFrame, period: Period) -> DataFrame:
    """Return the rows with column `event_period`, such as `2013-07`."""
    require(rows, ("event_day",))
    day = F.col("event_day")
    named = F.date_format(day, _PATTERNS[period])
    return rows.withColumn(PERIOD, F.when(day == F.lit(UNSYNCED_DAY), UNSYNCED).otherwise(named))
