"""Decides which of two rows with the same key stays, in the warehouse and in the lake's tables.

An arriving row replaces the existing one if it was not received later, and if no date is lost. So
an undated row gets its day when a ClockFix dates it, and a dated row never becomes undated.

The rule says "not later" instead of "earlier", because the same delivery may arrive again, decoded
by a newer program. After a change of the transform the operator resets its cursor, and then every
store must have the new program's rows. A later delivery of a record must change nothing, in any
order of arrival. Two deliveries with different content that were received in the same millisecond
have no order: the one that is written last stays, the same in every store.
"""

from contract.keys import UNSYNCED_DAY

__all__ = ["replaces"]


def replaces(arriving: str, standing: str) -> str:
    """Returns the rule as a condition in SQL for MySQL, MariaDB and Spark.

    Args:
        arriving: Alias of the arriving rows, with columns `received_at` and `event_day`.
        standing: Alias of the existing rows, with the same columns.
    """
    undated = f"DATE'{UNSYNCED_DAY}'"
    return (
        f"({arriving}.`received_at` <= {standing}.`received_at`"
        f" AND ({standing}.`event_day` = {undated} OR {arriving}.`event_day` <> {undated}))"
    )
