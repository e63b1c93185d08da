"""Converts readings to the form that a gateway's rule uses: signal, instant and usable value.

Training and live scoring both use this module, so that they evaluate the same values as the rule.
Quality alone decides whether a value is usable. Cleaning comes later, because it could use values
from the future.
"""

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.plausible import FIRST_UTC_MS
from cloud.transforms.schema import require
from contract.quantities import Quality
from contract.signals import Signal
from models.replay import Readings

__all__ = ["as_readings", "dated_until", "of_signals", "readings_of", "usable"]

_NEEDED = ("device_id", "seq", "sensor_id", "quantity", "value", "quality", "observed_at")


def of_signals(
    readings: DataFrame, wanted: Collection[Signal], more: Collection[Column | str] = ()
) -> DataFrame:
    """Return the wanted signals: `device_id`, `seq`, `signal`, `at_ms`, `value`, and `more`.

    Args:
        readings: Rows of table `readings`, or of a batch for this table.
        wanted: The wanted signals.
        more: More columns of `readings` to keep.
    """
    return usable(readings, more).where(F.col("signal").isin(*map(str, wanted)))


def usable(readings: DataFrame, more: Collection[Column | str] = ()) -> DataFrame:
    """Return all signals: `device_id`, `seq`, `signal`, `at_ms`, `value`, and `more`.

    Args:
        readings: Rows of table `readings`, or of a batch for this table.
        more: More columns of `readings` to keep.
    """
    require(readings, _NEEDED)
    return readings.select(
        "device_id",
        "seq",
        F.concat_ws("/", "sensor_id", "quantity").alias("signal"),
        F.unix_millis("observed_at").alias("at_ms"),
        F.when(F.col("quality") != Quality.BAD.value, F.col("value")).alias("value"),
        *more,
    )


def dated_until(rows: DataFrame, until_ms: int) -> DataFrame:
    """Return the rows of `usable` up to an instant, ms since 1970 UTC; undated ones are left out.

    An older program may have stored readings from before the first plausible instant.
    """
    return rows.where(F.col("at_ms").between(FIRST_UTC_MS, until_ms))


def readings_of(rows: pa.Table) -> Readings:
    """Return the readings of one device's rows, in the order in which the gateway took them.

    Args:
        rows: Columns `signal`, `at_ms`, `seq` and `value`.
    """
    return as_readings(rows.sort_by([("at_ms", "ascending"), ("seq", "ascending")]))


def as_readings(rows: pa.Table) -> Readings:
    """Return one device's readings from rows of `of_signals` in the gateway's order."""
    signal = rows["signal"].combine_chunks().dictionary_encode()
    return Readings(
        tuple(Signal.parse(name) for name in signal.dictionary.to_pylist()),
        signal.indices.to_numpy().astype(np.int64),
        rows["at_ms"].to_numpy().astype(np.int64),
        np.asarray(rows["value"].to_numpy(), dtype=np.float64),
    )
