"""Computes the history: all steps of a condition on all devices, with labels and features.

A step is a piece of time in which a condition is evaluated once. The history has one row for each
device and step, grouped by device, oldest first. Truth, training data and outcomes of forecasts all
come from the columns of this one table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloud.quality.spans import Span
from cloud.training.masks import fit_windows, masked_labels
from models.conditions import MODEL_INPUTS, Condition
from models.features import FEATURE_NAMES, LAGS, features, windows
from models.replay import Interval, Readings, Steps, intervals, onsets, replay

__all__ = ["GRID_EVERY", "HISTORY_SCHEMA", "History", "device_history", "list_column"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

GRID_EVERY = 23  # every 23rd window is kept for golden vectors: a prime gives all hours of the day
_WIDTHS = {"features": len(FEATURE_NAMES), "grids": len(MODEL_INPUTS) * LAGS}

HISTORY_SCHEMA = pa.schema(
    [
        ("device_id", pa.string()),
        ("condition_id", pa.string()),
        ("begins_ms", pa.int64()),
        ("at_ms", pa.int64()),
        ("values", pa.float64()),
        ("holds", pa.bool_()),
        ("changed", pa.bool_()),
        ("full", pa.bool_()),
        ("usable", pa.bool_()),
        ("labels", pa.float64()),
        ("masked", pa.bool_()),
        ("fit", pa.bool_()),
        ("features", pa.list_(pa.float64())),
        ("grids", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True, slots=True)
class History:
    """Steps of one condition.

    Attributes:
        devices: Device of each step.
        begins_ms: Begin of the step.
        at_ms: Instant of completion, at which a forecast is issued.
        values: The signal's value.
        holds: Whether the condition is true after the step.
        changed: Whether `holds` changed with the step.
        full: Whether a reading completed the step.
        usable: Whether the window has all values that a forecast needs.
        labels: 1 if the condition became true within the horizon, 0 if not, NaN if unknown.
        masked: Whether the label is unknown because readings on which it depends are unfit.
        fit: Whether no reading of the window is unfit.
        features: Features of the window, shape (steps, features).
        grids: Windows, shape (steps, inputs * LAGS); NaN except for every `GRID_EVERY`-th step.
    """

    devices: NDArray[np.object_]
    begins_ms: Ints
    at_ms: Ints
    values: Floats
    holds: Flags
    changed: Flags
    full: Flags
    usable: Flags
    labels: Floats
    masked: Flags
    fit: Flags
    features: Floats
    grids: Floats

    def __len__(self) -> int:
        return len(self.begins_ms)

    @property
    def forecastable(self) -> Flags:
        """Steps at which a gateway makes a forecast; if the condition is true, it makes none."""
        return self.full & ~self.holds & self.usable

    @property
    def examples(self) -> "History":
        """Steps with a forecast, a known truth and fit readings: what a model may learn from."""
        return self.rows(self.forecastable & self.fit & ~np.isnan(self.labels))

    def rows(self, chosen: NDArray[Any]) -> "History":
        """Return the chosen steps."""
        return History(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def by_device(self) -> Iterator[tuple[str, "History"]]:
        """Yield each device with its steps."""
        for device in np.unique(self.devices.astype(str)).tolist():
            yield device, self.rows(self.devices == device)

    def truth(self) -> list[tuple[str, Interval]]:
        """Return each device's intervals in which the condition was true."""
        return [(device, i) for device, own in self.by_device() for i in intervals(_steps(own))]

    @classmethod
    def of(cls, table: pa.Table, condition_id: str) -> "History":
        """Return the history of one condition from a table in `HISTORY_SCHEMA`."""
        mine = table.filter(pa.compute.equal(table["condition_id"], condition_id))
        mine = mine.sort_by([("device_id", "ascending"), ("begins_ms", "ascending")])
        columns = {name: _column(mine[name], name) for name in mine.column_names}
        return cls(
            columns["device_id"], *(columns[f.name] for f in fields(cls) if f.name != "devices")
        )


def _column(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    if name not in _WIDTHS:
        return np.asarray(column.to_numpy())
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float64).reshape(-1, _WIDTHS[name])


def _steps(own: History) -> Steps:
    unknown = np.full(len(own), -1)
    return Steps(
        own.begins_ms, own.at_ms, own.values, own.holds, own.changed, own.full, rows=unknown
    )


def device_history(
    device_id: str,
    readings: Readings,
    conditions: tuple[Condition, ...],
    spans: Sequence[Span] = (),
) -> pa.Table:
    """Return the history of one device, in `HISTORY_SCHEMA`.

    Args:
        device_id: The device.
        readings: All its readings, in the order in which the gateway took them.
        conditions: Conditions to evaluate.
        spans: Times in which its signals are unfit.
    """
    parts = [_of_condition(device_id, readings, c, spans) for c in conditions]
    return pa.concat_tables(parts) if parts else HISTORY_SCHEMA.empty_table()


def _of_condition(
    device_id: str, readings: Readings, condition: Condition, spans: Sequence[Span]
) -> pa.Table:
    steps = replay(condition, readings)
    masked = masked_labels(steps, condition, spans)
    grid = windows(readings, steps.at_ms, condition)
    made = features(grid, steps.at_ms, condition)
    columns = {
        "device_id": pa.array([device_id] * len(steps), pa.string()),
        "condition_id": pa.array([condition.id] * len(steps), pa.string()),
        "begins_ms": steps.begins_ms,
        "at_ms": steps.at_ms,
        "values": steps.values,
        "holds": steps.holds,
        "changed": steps.changed,
        "full": steps.full,
        "usable": made.usable,
        "labels": np.where(masked, np.nan, onsets(steps, condition)),
        "masked": masked,
        "fit": fit_windows(steps, condition, spans),
        "features": list_column(made.values),
        "grids": list_column(_sparse(grid)),
    }
    return pa.table(columns, schema=HISTORY_SCHEMA)


def _sparse(grid: Floats) -> Floats:
    """Return the windows as rows; all but every `GRID_EVERY`-th are NaN."""
    grids = grid.reshape(len(grid), _WIDTHS["grids"])
    grids[np.arange(len(grids)) % GRID_EVERY != 0] = np.nan
    return grids


def list_column(rows: Floats) -> pa.Array:
    """Return a column with one list for each row of an array, shape (rows, width)."""
    ends = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(rows.ravel()))
