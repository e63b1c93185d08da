"""Readings as a gateway's rule takes them: signal, instant, and a value only where it is fit.

Training and live scoring begin here, so that both judge what the rule judged: quality alone says
what is fit, before any cleaning that could see the future.
"""

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.transforms.schema import require
from contract.quantities import Quality
from contract.signals import Signal
from models.replay import Readings

__all__ = ["as_readings", "of_signals"]

_NEEDED = ("device_id", "seq", "sensor_id", "quantity", "value", "quality", "observed_at")


def of_signals(
    readings: DataFrame, wanted: Collection[Signal], more: Collection[Column | str] = ()
) -> DataFrame:
    """The wanted signals: `device_id`, `seq`, `signal`, `at_ms`, `value`, and `more` columns.

    Args:
        readings: Rows of table `readings`, or of a batch that goes there.
        wanted: Which ones.
        more: Columns of `readings` to keep beside.
    """
    require(readings, _NEEDED)
    return readings.select(
        "device_id",
        "seq",
        F.concat_ws("/", "sensor_id", "quantity").alias("signal"),
        F.unix_millis("observed_at").alias("at_ms"),
        F.when(F.col("quality") != Quality.BAD.value, F.col("value")).alias("value"),
        *more,
    ).where(F.col("signal").isin(*map(str, wanted)))


def as_readings(rows: pa.Table) -> Readings:
    """Rows of `of_signals`, of one device and in the order in which a gateway took them."""
    signal = rows["signal"].combine_chunks().dictionary_encode()
    return Readings(
        tuple(Signal.parse(name) for name in signal.dictionary.to_pylist()),
        signal.indices.to_numpy().astype(np.int64),
        rows["at_ms"].to_numpy().astype(np.int64),
        np.asarray(rows["value"].to_numpy(), dtype=np.float64),
    )
