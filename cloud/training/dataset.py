"""History from the lake's table `readings`, device by device, in Spark's workers.

Labels come from readings of fit quality before any cleaning that could see the future: what the
gateway's rule judged is what is judged here.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.errors import LakeError
from cloud.spark import converted
from cloud.training.history import HISTORY_SCHEMA, device_history
from cloud.transforms.schema import require
from contract.quantities import Quality
from models.conditions import Condition, inputs_of, signals_of
from models.replay import Readings

__all__ = ["history_table", "readings_of"]

_NEEDED = ("device_id", "seq", "sensor_id", "quantity", "value", "quality", "observed_at")
_SPARK_SCHEMA = (
    "device_id string, condition_id string, begins_ms bigint, at_ms bigint, values double, "
    "holds boolean, changed boolean, full boolean, usable boolean, labels double, "
    "features array<double>, grids array<double>"
)


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
    require(readings, _NEEDED)
    wanted = {s for c in conditions for s in (*signals_of(c), *inputs_of(c)) if s is not None}
    at_ms = F.unix_millis("observed_at")
    rows = readings.select(
        "device_id",
        F.concat_ws("/", "sensor_id", "quantity").alias("signal"),
        at_ms.alias("at_ms"),
        "seq",
        F.when(F.col("quality") != Quality.BAD.value, F.col("value")).alias("value"),
    ).where(F.col("signal").isin(*wanted) & (F.col("at_ms") <= until_ms))
    with converted(LakeError, "the readings cannot be judged"):
        judged = rows.groupBy("device_id").applyInArrow(_judge(conditions), _SPARK_SCHEMA)
        return judged.toArrow().cast(HISTORY_SCHEMA)


def _judge(conditions: tuple[Condition, ...]) -> Callable[[pa.Table], pa.Table]:
    def judge(rows: pa.Table) -> pa.Table:
        return device_history(rows["device_id"][0].as_py(), readings_of(rows), conditions)

    return judge


def readings_of(rows: pa.Table) -> Readings:
    """Columns `signal`, `at_ms`, `seq` and `value` of one device as a gateway took them."""
    ordered = rows.sort_by([("at_ms", "ascending"), ("seq", "ascending")])
    values = ordered["value"].to_numpy()
    return Readings(
        ordered["signal"].to_pylist(),
        ordered["at_ms"].to_numpy().astype(np.int64),
        np.asarray(values, dtype=np.float64),
    )
