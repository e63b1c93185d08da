"""Writes excursions: the intervals of truth with their peak, mean, length, distance and causes.

Excursions come from the same steps as the truth of the same cycle, so both tables have the same
intervals. Late readings may change an interval, so the present history replaces all of them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from cloud.aggregates.conditions import beyond
from cloud.monitoring.row_differences import Cells, every_row, make_exact, read_rows
from cloud.quality.verdicts import Verdicts
from cloud.training.history import History
from cloud.warehouse.aggregate_tables import EXCURSIONS
from cloud.warehouse.engine import converted
from cloud.warehouse.tables import FACTS
from contract.records import Kind
from models.conditions import Condition, signals_of
from models.replay import interval_rows

__all__ = ["AFTER_GAP", "DATA_GAP", "Excursion", "excursions", "write_excursions"]

DATA_GAP = "data_gap"  # steps without a reading in the interval
AFTER_GAP = "after_gap"  # no step before the first one, so the real begin may be earlier
DETECTED = "detected:"  # before the name of a fault that a detector found
_NO_VERDICTS = Verdicts()
_DECIMALS = 6  # as the values of table truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """An interval in which a condition was true on a device.

    Attributes:
        device_id: The device.
        began_at: Instant at which the condition became true, ms since 1970 UTC.
        ended_at: Instant at which it became false; None while it is true.
        peak: Value farthest beyond the limit, in the condition's unit.
        peak_at: Instant of the first such value.
        mean: Mean value of the steps.
        steps_total: Number of steps from the begin to the last step before the end.
        beyond_s: Time beyond the limit, seconds: the interval without the hysteresis at its end.
        degree_minutes: Distance beyond the limit, summed over minutes: unit of the condition
            times minutes.
        causes: What the data say about the interval, sorted: `after_gap`, `data_gap`.
    """

    device_id: str
    began_at: int
    ended_at: int | None
    peak: float
    peak_at: int
    mean: float
    steps_total: int
    beyond_s: int
    degree_minutes: float
    causes: tuple[str, ...]


def excursions(history: History, condition: Condition) -> Iterator[Excursion]:
    """Yield the intervals of `History.truth` with their figures, by device, oldest first."""
    for device_id, own in history.by_device():
        for began, ended in interval_rows(own.changed, own.holds):
            rows = slice(began, len(own) if ended is None else ended)
            yield _excursion(device_id, own, rows, condition)


def _excursion(device_id: str, own: History, rows: slice, condition: Condition) -> Excursion:
    values, at_ms = own.values[rows], own.at_ms[rows]
    excess = beyond(values, condition)
    peak = int(np.argmax(excess))
    is_open = rows.stop == len(own)
    return Excursion(
        device_id=device_id,
        began_at=int(at_ms[0]),
        ended_at=None if is_open else int(own.at_ms[rows.stop]),
        peak=round(float(values[peak]), _DECIMALS),
        peak_at=int(at_ms[peak]),
        mean=round(float(values.mean()), _DECIMALS),
        steps_total=len(values),
        beyond_s=int((excess > 0).sum()) * condition.step_s,
        degree_minutes=round(float(excess.sum()) * condition.step_s / 60.0, _DECIMALS),
        causes=tuple(sorted(_gaps(own, rows, condition.step_s * 1000))),
    )


def _gaps(own: History, rows: slice, step_ms: int) -> Iterator[str]:
    begins_ms: NDArray[np.int64] = own.begins_ms[rows]
    if not own.full[rows].all() or (np.diff(begins_ms) > step_ms).any():
        yield DATA_GAP
    before = own.begins_ms[rows.start - 1] if rows.start else None
    if before is None or begins_ms[0] - before > step_ms:
        yield AFTER_GAP


def write_excursions(
    engine: Engine, condition: Condition, history: History, verdicts: Verdicts = _NO_VERDICTS
) -> int:
    """Replace the excursions of a condition in one transaction; write only the differences.

    Flags of the gateway's readings (`stuck`, `jump`, ...) within a changed interval are added to
    its causes; MySQL must still have these readings. So are the faults that detectors found there,
    after `detected:`.

    Args:
        engine: The warehouse.
        condition: The condition; rows of other conditions stay unchanged.
        history: Its history.
        verdicts: Spans of unfit readings.

    Returns:
        Number of intervals written or deleted; 0 if nothing differed.

    Raises:
        SchemaOutdated: The table is missing.
        WarehouseError: Nothing was changed.
    """
    found = list(excursions(history, condition))
    query = every_row(EXCURSIONS).where(EXCURSIONS.c.condition_id == condition.id)
    with converted(), engine.begin() as connection:
        kept = read_rows(connection, EXCURSIONS, query)
        wanted = {
            (e.device_id, condition.id, e.began_at): _cells(
                connection, condition, e, kept, _detected(verdicts, condition, e)
            )
            for e in found
        }
        return make_exact(connection, EXCURSIONS, kept, wanted)


def _detected(verdicts: Verdicts, condition: Condition, found: Excursion) -> set[str]:
    last_at = found.peak_at if found.ended_at is None else found.ended_at
    signals = signals_of(condition)
    faults = verdicts.faults(found.device_id, signals, found.began_at, last_at)
    return {f"{DETECTED}{fault.value}" for fault in faults}


def _cells(
    connection: Connection,
    condition: Condition,
    found: Excursion,
    kept: Mapping[Cells, Cells],
    detected: set[str],
) -> Cells:
    figures = (
        *(found.ended_at, found.peak, found.peak_at, found.mean),
        *(found.steps_total, found.beyond_s, found.degree_minutes),
    )
    before = kept.get((found.device_id, condition.id, found.began_at))
    if before is not None and before[:-1] == figures:
        # The same values: their flags are known, and MySQL may no longer have the readings.
        causes = before[-1].split(",")
        flags = {c for c in causes if c and not c.startswith(DETECTED)} - {DATA_GAP, AFTER_GAP}
    else:
        flags = set(_flags(connection, condition, found))
    return (*figures, ",".join(sorted({*found.causes, *flags, *detected})))


def _flags(connection: Connection, condition: Condition, found: Excursion) -> Iterator[str]:
    """Yield the flags of the interval's readings, without those of another sensor."""
    at = FACTS[Kind.READING].c
    last_at = found.peak_at if found.ended_at is None else found.ended_at
    for signal in signals_of(condition):
        query = select(at.flags).distinct()
        query = query.where(
            at.device_id == found.device_id,
            at.sensor_id == signal.sensor_id,
            at.quantity == signal.quantity.value,
            at.observed_at.between(found.began_at, last_at),
            at.flags.is_not(None),
        )
        for (flags,) in connection.execute(query):
            yield from json.loads(flags)
