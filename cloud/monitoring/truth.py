"""Writes truth to the warehouse: the intervals in which each condition was true.

Late readings may move, end or remove an interval, so the present history replaces all intervals.
Unfit readings do not: truth equals what the gateway's rule reported, and names the faults in it.
"""

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Engine

from cloud.monitoring.row_differences import every_row, make_exact, read_rows
from cloud.quality.spans import Fault
from cloud.quality.verdicts import Verdicts
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import TRUTH
from models.conditions import Condition, signals_of
from models.replay import Interval

__all__ = ["FaultsIn", "faults_of", "write_truth"]

_OPEN_MS = 2**62  # the end of an interval that has not ended

FaultsIn = Callable[[str, Interval], Sequence[Fault]]


def faults_of(verdicts: Verdicts, condition: Condition) -> FaultsIn:
    """Return a function that names the faults of a device's signals within an interval."""
    return partial(_faults, verdicts, condition)


def _faults(
    verdicts: Verdicts, condition: Condition, device_id: str, interval: Interval
) -> Sequence[Fault]:
    ended_at = _OPEN_MS if interval.ended_at is None else interval.ended_at
    return verdicts.faults(device_id, signals_of(condition), interval.began_at, ended_at)


def _none(_device_id: str, _interval: Interval) -> Sequence[Fault]:
    return ()


def write_truth(
    engine: Engine,
    condition_id: str,
    truth: Sequence[tuple[str, Interval]],
    faults_in: FaultsIn = _none,
) -> int:
    """Replace the truth of a condition in one transaction; write only the differences.

    Args:
        engine: The warehouse.
        condition_id: The condition; rows of other conditions stay unchanged.
        truth: Devices and intervals, from `History.truth`.
        faults_in: Function that names the faults of a device within an interval.

    Returns:
        Number of intervals written or deleted; 0 if nothing differed.

    Raises:
        SchemaOutdated: The table is missing.
        WarehouseError: Nothing was changed.
    """
    wanted = {
        (device_id, condition_id, i.began_at): (
            *(i.ended_at, i.began_value, i.ended_value),
            ",".join(faults_in(device_id, i)) or None,
        )
        for device_id, i in truth
    }
    query = every_row(TRUTH).where(TRUTH.c.condition_id == condition_id)
    with converted(), engine.begin() as connection:
        return make_exact(connection, TRUTH, read_rows(connection, TRUTH, query), wanted)
