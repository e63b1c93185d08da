"""Writes truth to the warehouse: the intervals in which each condition was true.

Late readings may move, end or remove an interval, so the present history replaces all intervals.
"""

from collections.abc import Sequence

from sqlalchemy import Engine

from cloud.monitoring.row_differences import every_row, make_exact, read_rows
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import TRUTH
from models.replay import Interval

__all__ = ["write_truth"]


def write_truth(engine: Engine, condition_id: str, truth: Sequence[tuple[str, Interval]]) -> int:
    """Replace the truth of a condition in one transaction; write only the differences.

    Args:
        engine: The warehouse.
        condition_id: The condition; rows of other conditions stay unchanged.
        truth: Devices and intervals, from `History.truth`.

    Returns:
        Number of intervals written or deleted; 0 if nothing differed.

    Raises:
        SchemaOutdated: The table is missing.
        WarehouseError: Nothing was changed.
    """
    wanted = {
        (device_id, condition_id, i.began_at): (i.ended_at, i.began_value, i.ended_value)
        for device_id, i in truth
    }
    query = every_row(TRUTH).where(TRUTH.c.condition_id == condition_id)
    with converted(), engine.begin() as connection:
        return make_exact(connection, TRUTH, read_rows(connection, TRUTH, query), wanted)
