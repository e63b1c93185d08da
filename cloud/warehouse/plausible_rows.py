"""Selects rows with a plausible time, by the rule of `cloud.plausible`.

Projections write no other rows. But an older program may have written them, and a report must not
reach from the year 1000 to 9999 because of one of them.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal_column
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from cloud.plausible import AHEAD_MS, FIRST_UTC_MS

__all__ = ["plausibly_dated"]


def plausibly_dated(at: ReadOnlyColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Returns the condition that a row has a plausible time; false for an undated row.

    Args:
        at: Columns of the table, with `observed_at` and `received_at`.
    """
    second: ColumnElement[Any] = literal_column("SECOND")
    latest = func.timestampadd(second, AHEAD_MS // 1000, at.received_at)
    return and_(at.observed_at >= FIRST_UTC_MS, at.observed_at <= latest)
