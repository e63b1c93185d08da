"""Which of two rows with one key stays: one rule for the warehouse and for the lake's tables.

A row arrives where another with its key stands. It replaces it if it was received no later, and if
that takes no date away: a row that was without a day moves once a ClockFix dates it, and a dated
row never becomes undated.

"No later" and not "earlier", since the same delivery may arrive again, decoded by a newer program:
after a change of the transform somebody resets its cursor, and every store must then hold what the
new program makes of the lake. A later delivery of the record must change nothing, in whatever order
deliveries arrive. Only two deliveries with different content that were received in the same
millisecond have no order; of these the one that is written last stays, the same in every store.
"""

from contract.keys import UNSYNCED_DAY

__all__ = ["replaces"]


def replaces(arriving: str, standing: str) -> str:
    """The rule as a condition in SQL that MySQL, MariaDB and Spark understand.

    Args:
        arriving: Alias of the rows that arrive, with columns `received_at` and `event_day`.
        standing: Alias of the rows that stand, with the same columns.
    """
    undated = f"DATE'{UNSYNCED_DAY}'"
    return (
        f"({arriving}.`received_at` <= {standing}.`received_at`"
        f" AND ({standing}.`event_day` = {undated} OR {arriving}.`event_day` <> {undated}))"
    )
