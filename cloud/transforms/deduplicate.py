"""Keeps one row per key, because a record may be delivered more than once."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.transforms.schema import KEY, ORDER, require

__all__ = ["deduplicate"]

_PLACE = "_place"


def deduplicate(rows: DataFrame) -> DataFrame:
    """Return the earliest row of each key, by `received_at` and then by place in the lake."""
    require(rows, (*KEY, *ORDER))
    window = Window.partitionBy(*KEY).orderBy(*ORDER)
    placed = rows.withColumn(_PLACE, F.row_number().over(window))
    return placed.where(F.col(_PLACE) == 1).drop(_PLACE)
