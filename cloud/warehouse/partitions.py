"""Adds a partition for each month with data to the large tables, and drops months by age.

Partitions make retention cheap: a month is dropped as a whole, without deleting rows one by one.
Rows of a month that has no partition yet go to a wider one, so nothing fails without this module.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine, text

from cloud.warehouse.engine import converted

__all__ = ["Partition", "add_months", "drop_before", "month_of", "partitions_of"]

_LOCK_S = 60  # a report that reads the table must end within this time
_LAYOUT = text(
    "SELECT partition_name, partition_description FROM information_schema.partitions"
    " WHERE table_schema = DATABASE() AND table_name = :name AND partition_name IS NOT NULL"
    " ORDER BY partition_ordinal_position"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """Days of one partition.

    Attributes:
        name: Its name.
        begin: First day; None for the first partition, which has all earlier days too.
        end: First day after it; None for the last partition.
    """

    name: str
    begin: date | None
    end: date | None


def month_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def partitions_of(connection: Connection, table: str) -> list[Partition]:
    """Return the partitions of a table in the order of their days; none if it has none."""
    found: list[Partition] = []
    begin: date | None = None
    for name, limit in connection.execute(_LAYOUT, {"name": table}):
        end = None if limit == "MAXVALUE" else _day(int(limit))
        found.append(Partition(name, begin, end))
        begin = end
    return found


def add_months(engine: Engine, table: str, days: Iterable[date]) -> int:
    """Add a partition for the month of each day; return the number of new ones.

    Raises:
        WarehouseError: Another connection uses the table for longer than a minute, or the server
            did not answer. Some months may have been added; call again.
    """
    added = 0
    with converted(), engine.begin() as connection:
        connection.execute(text(f"SET SESSION lock_wait_timeout = {_LOCK_S}"))
        for month in sorted(set(map(month_of, days))):
            whole = _holder(partitions_of(connection, table), month)
            if whole is None or (whole.begin == month and whole.end == _next(month)):
                continue
            parts = ", ".join(_definition(part) for part in _split(whole, month))
            connection.execute(
                text(f"ALTER TABLE {table} REORGANIZE PARTITION {whole.name} INTO ({parts})")
            )
            added += 1
    return added


def drop_before(engine: Engine, table: str, day: date) -> list[str]:
    """Drop the partitions with days before `day` only; return their names.

    Raises:
        WarehouseError: As for `add_months`; nothing was dropped.
    """
    with converted(), engine.begin() as connection:
        gone = [
            part.name
            for part in partitions_of(connection, table)
            if part.end is not None and part.end <= day
        ]
        if gone:
            connection.execute(text(f"SET SESSION lock_wait_timeout = {_LOCK_S}"))
            connection.execute(text(f"ALTER TABLE {table} DROP PARTITION {', '.join(gone)}"))
    return gone


def _holder(parts: Sequence[Partition], month: date) -> Partition | None:
    """Return the partition that has all days of a month; None if the table has none."""
    for part in parts:
        starts = part.begin is None or part.begin <= month
        if starts and (part.end is None or part.end >= _next(month)):
            return part
    return None


def _split(whole: Partition, month: date) -> list[Partition]:
    """Return the parts of a partition: days before the month, the month, days after it."""
    after = _next(month)
    parts = [Partition(f"p{month:%Y%m}", month, after)]
    if whole.begin is None or whole.begin < month:
        parts.insert(0, Partition(f"b{month:%Y%m}", whole.begin, month))
    if whole.end is None or whole.end > after:
        parts.append(Partition(whole.name, after, whole.end))
    return parts


def _definition(part: Partition) -> str:
    limit = "MAXVALUE" if part.end is None else f"({_number(part.end)})"
    return f"PARTITION {part.name} VALUES LESS THAN {limit}"


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


# MySQL's TO_DAYS counts from the year 0, Python from the year 1.
def _number(day: date) -> int:
    return day.toordinal() + 365


def _day(number: int) -> date:
    return date.fromordinal(number - 365)
