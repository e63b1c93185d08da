"""Computes the history from the lake's table `readings`, device by device, in Spark's workers.

Labels come from the same readings that the gateway's rule evaluated: all readings of usable
quality, before any cleaning that could use values from the future.
"""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from pyspark.sql.pandas.types import from_arrow_schema

from cloud.errors import LakeError
from cloud.plausible import FIRST_UTC_MS
from cloud.spark import converted
from cloud.training.history import HISTORY_SCHEMA, device_history
from cloud.transforms.signals import as_readings, of_signals
from models.conditions import Condition, all_signals
from models.replay import Readings

__all__ = ["history_table", "readings_of"]


def history_table(
    readings: DataFrame, conditions: tuple[Condition, ...], until_ms: int
) -> pa.Table:
    """Return all steps of all devices, in `HISTORY_SCHEMA`.

    Args:
        readings: All of table `readings`; undated rows are left out.
        conditions: Conditions to evaluate.
        until_ms: Last instant of the readings to use, ms since 1970 UTC.

    Raises:
        LakeError: The table cannot be read.
    """
    rows = of_signals(readings, all_signals(conditions))
    # An older program may have stored readings from before the first plausible instant.
    rows = rows.where(F.col("at_ms").between(FIRST_UTC_MS, until_ms))
    with converted(LakeError, "table readings: the conditions cannot be evaluated"):
        judged = rows.groupBy("device_id").applyInArrow(
            _judge(conditions), from_arrow_schema(HISTORY_SCHEMA)
        )
        return judged.toArrow().cast(HISTORY_SCHEMA)


def _judge(conditions: tuple[Condition, ...]) -> Callable[[pa.Table], pa.Table]:
    def judge(rows: pa.Table) -> pa.Table:
        return device_history(rows["device_id"][0].as_py(), readings_of(rows), conditions)

    return judge


def readings_of(rows: pa.Table) -> Readings:
    """Return the readings of one device's rows, in the order in which the gateway took them.

    Args:
        rows: Columns `signal`, `at_ms`, `seq` and `value`.
    """
    return as_readings(rows.sort_by([("at_ms", "ascending"), ("seq", "ascending")]))
