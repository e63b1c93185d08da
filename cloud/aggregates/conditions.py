"""Summarizes how long and how far each condition's value was beyond its limit. Pure.

The values are those of the steps that `models.replay` computes, as on the gateway and in the truth
of a cycle. A step of `step_s` beyond the limit counts for `step_s`; hysteresis and duration play no
part. A step that no reading completed counts only if a reading of the condition's signals follows
within `reach_ms_of` its end: a value before a longer gap says nothing about the gap. So a day's
summaries depend on readings in and near this day only.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloud.aggregates.bins import Frame
from cloud.aggregates.days import Part
from cloud.aggregates.schema import SUMMARIES, Level, instants
from cloud.transforms.signals import as_readings
from models.conditions import Comparison, Condition, signals_of
from models.replay import Readings, Steps, replay

__all__ = ["beyond", "condition_rows", "reach_ms_of"]

_HOUR_MS = 3_600_000
Floats = NDArray[np.float64]


def reach_ms_of(conditions: Sequence[Condition]) -> int:
    """Return the longest time over which a reading affects a step, ms; 0 without conditions."""
    return max(((c.max_age_s + c.step_s) * 1000 for c in conditions), default=0)


def beyond(values: Floats, condition: Condition) -> Floats:
    """Return how far values are beyond the condition's limit, in its unit; 0 if they are not."""
    sign = 1.0 if condition.comparison is Comparison.ABOVE else -1.0
    return np.maximum(sign * (values - condition.limit), 0.0)


def condition_rows(rows: pa.Table, part: Part, conditions: Sequence[Condition]) -> pa.Table:
    """Return the summaries of a part's conditions, with the columns of `SUMMARIES`.

    Args:
        rows: Readings of the part's device in its needed days, in the order of time: `signal`,
            `at_ms`, `value` (null if unusable).
        part: The days to summarize.
        conditions: The conditions; those without readings of all their signals have no rows.
    """
    readings = as_readings(rows)
    found = [
        table for condition in conditions for table in _of_condition(readings, part, condition)
    ]
    return pa.concat_tables(found) if found else SUMMARIES.empty_table()


def _of_condition(readings: Readings, part: Part, condition: Condition) -> Iterator[pa.Table]:
    reach_ms = reach_ms_of((condition,))
    for frames in _runs(part.condition_frames()):
        begin_ms, end_ms = frames[0].begin_ms, frames[-1].end_ms
        near = np.searchsorted(readings.at_ms, (begin_ms - reach_ms, end_ms + reach_ms))
        own_readings = readings.rows(slice(*near))
        steps = replay(condition, own_readings)
        counted = _counted(steps, own_readings, condition)
        for frame in frames:
            inside = (steps.begins_ms >= frame.begin_ms) & (steps.begins_ms < frame.end_ms)
            own = np.flatnonzero(inside & counted)
            if len(own):
                yield _table(part.device_id, condition, frame, steps, own)


def _counted(steps: Steps, readings: Readings, condition: Condition) -> NDArray[np.bool_]:
    """Return which steps count: those with a reading in them, or soon after their end."""
    wanted_ms = readings.at_ms[readings.are(signals_of(condition))]
    ends_ms = steps.begins_ms + condition.step_s * 1000
    following = np.append(wanted_ms, np.iinfo(np.int64).max)
    next_ms = following[np.searchsorted(wanted_ms, ends_ms)]
    return steps.full | (next_ms <= ends_ms + reach_ms_of((condition,)))


def _runs(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """Yield frames that follow each other without a gap together."""
    start = 0
    for end in range(1, len(frames) + 1):
        if end == len(frames) or frames[end].begin_ms != frames[end - 1].end_ms:
            yield frames[start:end]
            start = end


def _table(
    device_id: str, condition: Condition, frame: Frame, steps: Steps, own: NDArray[np.int64]
) -> pa.Table:
    begins_ms, values = steps.begins_ms[own], steps.values[own]
    parts = []
    for level, length_ms in (
        (Level.CONDITION_HOUR, _HOUR_MS),
        (Level.CONDITION_DAY, frame.length_ms),
    ):
        cells = _summaries(condition, begins_ms, values, length_ms)
        total = len(cells["values_total"])
        same = {
            "level": pa.repeat(level.value, total),
            "device_id": pa.repeat(device_id, total),
            "event_day": pa.repeat(pa.scalar(frame.day), total),
            "condition_id": pa.repeat(condition.id, total),
            "length_s": pa.repeat(length_ms // 1000, total),
        }
        absent = {f.name: pa.nulls(total, f.type) for f in SUMMARIES}
        parts.append(pa.table(absent | same | cells, schema=SUMMARIES))
    return pa.concat_tables(parts)


def _summaries(
    condition: Condition, begins_ms: NDArray[np.int64], values: Floats, length_ms: int
) -> dict[str, pa.Array]:
    """Return the figures of each interval that has steps."""
    bin_ms = begins_ms // length_ms * length_ms
    starts = np.flatnonzero(np.diff(bin_ms, prepend=-1))
    total = np.diff(np.append(starts, len(values)))
    excess = beyond(values, condition)
    lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    mean = np.clip(np.add.reduceat(values, starts) / total, lowest, highest)
    beyond_total = np.add.reduceat((excess > 0).astype(np.int64), starts)
    covered = np.minimum(total * condition.step_s * 1000 / length_ms, 1.0)
    return {
        "begin_at": instants(bin_ms[starts]),
        "values_total": pa.array(total.astype(np.int64)),
        "lowest": pa.array(lowest),
        "mean": pa.array(mean),
        "highest": pa.array(highest),
        "coverage_ratio": pa.array(covered),
        "beyond_s": pa.array(beyond_total * condition.step_s),
        "degree_minutes": pa.array(np.add.reduceat(excess, starts) * condition.step_s / 60.0),
    }
