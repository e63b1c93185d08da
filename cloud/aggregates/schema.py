"""Defines the rows of summaries between Spark's workers and the staging table."""

from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["SUMMARIES", "Level", "instants"]


class Level(StrEnum):
    """Says which table a summary belongs to."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    SITE_DAY = "site_day"
    CONDITION_HOUR = "condition_hour"
    CONDITION_DAY = "condition_day"


_INSTANT = pa.timestamp("us", tz="UTC")

# A row belongs to a signal (sensor and quantity) or to a condition; the other cells are null.
SUMMARIES = pa.schema(
    [
        ("level", pa.string()),
        ("device_id", pa.string()),
        ("event_day", pa.date32()),
        ("sensor_id", pa.string()),
        ("quantity", pa.string()),
        ("condition_id", pa.string()),
        ("begin_at", _INSTANT),
        ("length_s", pa.int64()),
        ("values_total", pa.int64()),
        ("unusable_total", pa.int64()),
        ("lowest", pa.float64()),
        ("mean", pa.float64()),
        ("highest", pa.float64()),
        ("last", pa.float64()),
        ("last_at", _INSTANT),
        ("coverage_ratio", pa.float64()),
        ("mean_kinetic_temperature", pa.float64()),
        ("calibration", pa.string()),
        ("beyond_s", pa.int64()),
        ("degree_minutes", pa.float64()),
    ]
)


def instants(at_ms: NDArray[np.int64], absent: int | None = None) -> pa.Array:
    """Return a column of instants from ms since 1970 UTC; null for the number `absent`."""
    mask = None if absent is None else at_ms == absent
    return pa.array(at_ms * 1000, pa.int64(), mask=mask).cast(_INSTANT)
