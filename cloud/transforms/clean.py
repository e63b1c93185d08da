"""Flags readings that models must not learn from, with the reason; never drops rows."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.transforms.schema import CLEAN_FLAGS, require
from contract.quantities import Flag, Quality, Quantity

__all__ = ["BAD_QUALITY", "NO_VALUE", "OUT_OF_RANGE", "flag"]

BAD_QUALITY = "bad_quality"
NO_VALUE = "no_value"
OUT_OF_RANGE = Flag.OUT_OF_RANGE.value


def flag(readings: DataFrame) -> DataFrame:
    """Return the readings with column `clean_flags`: reasons not to use a row; empty if usable."""
    require(readings, ("quantity", "value", "quality", "flags"))
    reasons = F.array(
        F.when(F.col("quality") == Quality.BAD.value, F.lit(BAD_QUALITY)),
        F.when(F.col("value").isNull(), F.lit(NO_VALUE)),
        F.when(_out_of_range(), F.lit(OUT_OF_RANGE)),
    )
    return readings.withColumn(CLEAN_FLAGS, F.array_compact(reasons))


def _out_of_range() -> Column:
    # Check the gateway's flag and the value itself: an old gateway may have used other limits.
    said = F.coalesce(F.array_contains("flags", OUT_OF_RANGE), F.lit(False))
    for quantity in Quantity:
        inside = F.col("value").between(quantity.facts.low, quantity.facts.high)
        said = said | ((F.col("quantity") == quantity.value) & ~inside)
    return F.coalesce(said, F.lit(False))
