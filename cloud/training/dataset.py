"""Computes the history from the lake's table `readings`, device by device, in Spark's workers.

Steps come from the same readings that the gateway's rule evaluated: all readings of usable quality.
Cleaning does not change a step. It makes labels unknown where the readings are unfit.
"""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from cloud.errors import LakeError
from cloud.quality.spans import Span
from cloud.quality.verdicts import NOTHING_FOUND, Verdicts
from cloud.spark import converted
from cloud.training.history import HISTORY_SCHEMA, device_history
from cloud.transforms.signals import dated_until, of_signals, readings_of
from models.conditions import Condition, all_signals

__all__ = ["history_table"]


def history_table(
    readings: DataFrame,
    conditions: tuple[Condition, ...],
    until_ms: int,
    verdicts: Verdicts = NOTHING_FOUND,
) -> pa.Table:
    """Return all steps of all devices, in `HISTORY_SCHEMA`.

    Args:
        readings: All of table `readings`; undated rows are left out.
        conditions: Conditions to evaluate.
        until_ms: Last instant of the readings to use, ms since 1970 UTC.
        verdicts: Times in which signals are unfit: labels that depend on them are unknown.

    Raises:
        LakeError: The table cannot be read.
    """
    rows = dated_until(of_signals(readings, all_signals(conditions)), until_ms)
    with converted(LakeError, "table readings: the conditions cannot be evaluated"):
        judged = rows.groupBy("device_id").applyInArrow(
            _judge(conditions, verdicts.by_device()), from_arrow_schema(HISTORY_SCHEMA)
        )
        return judged.toArrow().cast(HISTORY_SCHEMA)


def _judge(
    conditions: tuple[Condition, ...], unfit: Mapping[str, Sequence[Span]]
) -> Callable[[pa.Table], pa.Table]:
    def judge(rows: pa.Table) -> pa.Table:
        device_id = rows["device_id"][0].as_py()
        spans = unfit.get(device_id, ())
        return device_history(device_id, readings_of(rows), conditions, spans)

    return judge
