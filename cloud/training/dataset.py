"""History from the lake's table `readings`, device by device, in Spark's workers.

Labels come from readings of fit quality before any cleaning that could see the future: what the
gateway's rule judged is what is judged here.
"""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from pyspark.sql.pandas.types import from_arrow_schema

from cloud.errors import LakeError
from cloud.spark import converted
from cloud.training.history import HISTORY_SCHEMA, device_history
from cloud.transforms.signals import as_readings, of_signals
from models.conditions import Condition, all_signals
from models.replay import Readings

__all__ = ["history_table", "readings_of"]


def history_table(
    readings: DataFrame, conditions: tuple[Condition, ...], until_ms: int
) -> pa.Table:
    """Every step of every device, in `HISTORY_SCHEMA`.

    Args:
        readings: Table `readings`, whole; undated rows wait for their ClockFix.
        conditions: What to judge.
        until_ms: Later readings are not looked at, ms since 1970 UTC.

    Raises:
        LakeError: The table cannot be read.
    """
    rows = of_signals(readings, all_signals(conditions)).where(F.col("at_ms") <= until_ms)
    with converted(LakeError, "the readings cannot be judged"):
        judged = rows.groupBy("device_id").applyInArrow(
            _judge(conditions), from_arrow_schema(HISTORY_SCHEMA)
        )
        return judged.toArrow().cast(HISTORY_SCHEMA)


def _judge(conditions: tuple[Condition, ...]) -> Callable[[pa.Table], pa.Table]:
    def judge(rows: pa.Table) -> pa.Table:
        return device_history(rows["device_id"][0].as_py(), readings_of(rows), conditions)

    return judge


def readings_of(rows: pa.Table) -> Readings:
    """Columns `signal`, `at_ms`, `seq` and `value` of one device as a gateway took them."""
    return as_readings(rows.sort_by([("at_ms", "ascending"), ("seq", "ascending")]))
