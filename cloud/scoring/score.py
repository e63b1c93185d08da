"""Computes the forecasts of many devices in Spark's workers, each device in one worker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from cloud.columns import ColumnType
from cloud.errors import ProjectionError
from cloud.forecast import FORECAST_COLUMNS, Forecast
from cloud.scoring.champions import Term
from cloud.scoring.forecast import DeviceReadings, TimeSpan, forecasts
from cloud.scoring.predict import probabilities
from cloud.spark import converted
from cloud.transforms.schema import SOURCE, require
from cloud.transforms.signals import as_readings
from contract.topics import Lane

__all__ = ["READING_COLUMNS", "device_of", "scored"]

READING_COLUMNS = (
    *("device_id", "stream_id", "seq", "signal", "at_ms", "value", "received_ms", SOURCE),
)
_ARROW = {  # types of a forecast's fields; instants in milliseconds
    ColumnType.WORD: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.INSTANT: pa.int64(),
    ColumnType.REAL: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
}
_SCHEMA = pa.schema([(column.name, _ARROW[column.type]) for column in FORECAST_COLUMNS])


def scored(
    readings: DataFrame, terms: Sequence[Term], spans: Mapping[str, TimeSpan], warm: int
) -> list[Forecast]:
    """Return the forecasts of each device within its span, in any order.

    Args:
        readings: Rows with `READING_COLUMNS`; a key may occur more than once.
        terms: Models and the times in which they are in force.
        spans: For each device, the span of the wanted steps.
        warm: The result of `forecast.warm_days`.

    Raises:
        ProjectionError: A task failed: a file cannot be read or a model cannot be run.
    """
    require(readings, READING_COLUMNS)
    with converted(ProjectionError, "scoring: the forecasts cannot be computed"):
        found = readings.groupBy("device_id").applyInArrow(
            _scorer(tuple(terms), dict(spans), warm), from_arrow_schema(_SCHEMA)
        )
        rows = found.toArrow().to_pylist()
    return [Forecast(**row) for row in rows]


def _scorer(
    terms: tuple[Term, ...], spans: Mapping[str, TimeSpan], warm: int
) -> Callable[[pa.Table], pa.Table]:
    def score(rows: pa.Table) -> pa.Table:
        device = device_of(rows)
        made = forecasts(device, terms, spans[device.device_id], warm, probabilities)
        return pa.Table.from_pylist([asdict(f) for f in made], schema=_SCHEMA)

    return score


def device_of(rows: pa.Table) -> DeviceReadings:
    """Return a device's readings from rows with `READING_COLUMNS`: each key once, by time."""
    first = [("stream_id", "ascending"), ("seq", "ascending")]
    rows = rows.sort_by([*first, ("received_ms", "ascending"), (SOURCE, "ascending")])
    streams, seqs = rows["stream_id"].to_numpy(), rows["seq"].to_numpy()
    new = np.append(True, (streams[1:] != streams[:-1]) | (seqs[1:] != seqs[:-1]))
    rows = rows.filter(pa.array(new)).sort_by(
        [("at_ms", "ascending"), ("seq", "ascending"), ("stream_id", "ascending")]
    )
    lanes = (source.split(" ")[3] for source in rows[SOURCE].to_pylist())
    return DeviceReadings(
        device_id=rows["device_id"][0].as_py(),
        readings=as_readings(rows),
        stream_ids=rows["stream_id"].to_pylist(),
        seqs=rows["seq"].to_numpy().astype(np.int64),
        backfilled=np.fromiter((lane == Lane.BACKFILL for lane in lanes), np.bool_, len(rows)),
    )
