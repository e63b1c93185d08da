"""Computes the verdicts on table `readings`: causal spans in Spark's workers, one device each.

The workers also reduce each signal to a row for each day. The comparison of signals with each other
needs only these rows, and runs in the driver.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from cloud.errors import LakeError
from cloud.quality.causal import causal_spans
from cloud.quality.days import Days, days_of
from cloud.quality.retrospective import DeviceSpan, compared
from cloud.quality.spans import Fault, Span
from cloud.quality.verdicts import Verdicts
from cloud.spark import converted
from cloud.transforms.signals import dated_until, readings_of, usable
from contract.signals import Signal
from models.replay import Readings

__all__ = ["CHECKED_SCHEMA", "checked", "verdicts_on"]

_SPAN = {
    "fault": pa.string(),
    "begin_ms": pa.int64(),
    "end_ms": pa.int64(),
    "known_ms": pa.int64(),
    "figure": pa.float64(),
}
_DAY = {"days": pa.int64(), "means": pa.float64(), "dew_points": pa.float64()}
CHECKED_SCHEMA = pa.schema(
    [
        ("device_id", pa.string()),
        ("signal", pa.string()),
        *((name, pa.list_(kind)) for name, kind in (_SPAN | _DAY).items()),
    ]
)


def verdicts_on(readings: DataFrame, until_ms: int) -> Verdicts:
    """Return the verdicts on all signals of all devices.

    Args:
        readings: All of table `readings`; undated rows are left out.
        until_ms: Last instant of the readings to use, ms since 1970 UTC.

    Raises:
        LakeError: The table cannot be read.
    """
    rows = dated_until(usable(readings), until_ms)
    with converted(LakeError, "table readings: the readings cannot be checked"):
        found = rows.groupBy("device_id").applyInArrow(_checked, from_arrow_schema(CHECKED_SCHEMA))
        table = found.toArrow().to_pylist()
    slowly = compared([_days(row) for row in table])
    causal = [DeviceSpan(row["device_id"], span) for row in table for span in _spans(row)]
    return Verdicts(tuple(sorted([*causal, *slowly.spans])), slowly.standings)


def _checked(rows: pa.Table) -> pa.Table:
    return checked(rows["device_id"][0].as_py(), readings_of(rows))


def checked(device_id: str, readings: Readings) -> pa.Table:
    """Return causal spans and days of one device, one row for each signal, in `CHECKED_SCHEMA`.

    Args:
        device_id: The device.
        readings: Its readings in the order of time.
    """
    spans = causal_spans(readings)
    rows = []
    for days in days_of(device_id, readings, spans):
        own = [span for span in spans if span.signal == days.signal]
        row: dict[str, Any] = {"device_id": device_id, "signal": str(days.signal)}
        row |= {name: [getattr(span, name) for span in own] for name in _SPAN}
        row |= {name: getattr(days, name).tolist() for name in _DAY}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=CHECKED_SCHEMA)


def _days(row: dict[str, Any]) -> Days:
    return Days(
        row["device_id"],
        Signal.parse(row["signal"]),
        np.array(row["days"], np.int64),
        np.array(row["means"], np.float64),
        np.array(row["dew_points"], np.float64),
    )


def _spans(row: dict[str, Any]) -> Iterator[Span]:
    signal = Signal.parse(row["signal"])
    for cells in zip(*(row[name] for name in _SPAN), strict=True):
        values = dict(zip(_SPAN, cells, strict=True))
        yield Span(signal=signal, **values | {"fault": Fault(values["fault"])})
