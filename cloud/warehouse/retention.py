"""Deletes months of single readings and of minutes that are older than the configuration keeps.

The lake keeps all readings, and the summaries by hour and day stay. So nothing is lost that a later
`transform run` could not write again. Summaries have a partition for each month, which is dropped.
Readings have none: the upsert looks for a key in every partition. With 25 months, 100,000 readings
cost 16 to 25 s of MySQL's processor time instead of 7. So old readings are deleted by their index.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, text

from cloud.warehouse.aggregate_tables import AGGREGATES, MINUTES
from cloud.warehouse.engine import converted
from cloud.warehouse.partitions import drop_before, month_of
from cloud.warehouse.tables import FACTS
from contract.keys import UNSYNCED_DAY
from contract.records import Kind

__all__ = ["MONTHLY", "Kept", "retire", "utc_today"]

MONTHLY = tuple(table.name for table in AGGREGATES)  # tables with monthly partitions
_ROWS_AT_ONCE = 10_000  # short transactions, so that nobody waits
_DELETE = text(
    f"DELETE FROM {FACTS[Kind.READING].name}"
    f" WHERE event_day < :day AND event_day <> :undated LIMIT {_ROWS_AT_ONCE}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long MySQL keeps rows, in days; None: for ever.

    Attributes:
        readings_days: Single readings.
        minutes_days: Summaries of minutes.
    """

    readings_days: int | None = None
    minutes_days: int | None = None


def utc_today() -> date:
    """Return the present UTC day."""
    return datetime.now(UTC).date()


def retire(engine: Engine, kept: Kept, today: date) -> int:
    """Delete the months that are older than the limits as a whole; return the deleted readings.

    Readings without a trusted time stay.

    Raises:
        WarehouseError: Some months may remain; the next call deletes them.
    """
    if kept.minutes_days is not None:
        drop_before(engine, MINUTES.name, today - timedelta(days=kept.minutes_days))
    if kept.readings_days is None:
        return 0
    values = {
        "day": month_of(today - timedelta(days=kept.readings_days)),
        "undated": UNSYNCED_DAY,
    }
    total = 0
    while True:
        with converted(), engine.begin() as connection:
            deleted = connection.execute(_DELETE, values).rowcount
        total += deleted
        if deleted < _ROWS_AT_ONCE:
            return total
