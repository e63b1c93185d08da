"""Dates records that were committed before the gateway's clock was believable.

One arithmetic for every store: the search projection and the Spark transforms both call it. Nothing
here reads or writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from contract.keys import UNSYNCED_DAY, event_day
from contract.typed import LATEST_UTC_MS

__all__ = ["Fix", "first_fix", "fixed_observed_at"]

_EARLIEST_UTC_MS = -62_135_596_800_000  # the year 1 begins


def fixed_observed_at(offset_ms: int, fix_offset_ms: int, fix_utc_at: int) -> int:
    """UTC instant of a record, ms since 1970, told by its stream's ClockFix.

    Args:
        offset_ms: Monotonic offset of the record in its stream.
        fix_offset_ms: Monotonic offset of the ClockFix record in the same stream.
        fix_utc_at: The instant of UTC that the ClockFix names, ms since 1970.
    """
    return fix_utc_at + offset_ms - fix_offset_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One ClockFix record with its place in its stream.

    Attributes:
        seq: Number of the record.
        offset_ms: Its monotonic offset in the stream.
        utc_at: The instant that it names, ms since 1970 UTC.
    """

    seq: int
    offset_ms: int
    utc_at: int

    def observed_at(self, offset_ms: int) -> int | None:
        """The instant of an offset in the same stream, ms since 1970 UTC.

        None where the result cannot be a date or falls on the day that stands for "not known":
        such a record stays where undated records wait.
        """
        instant = fixed_observed_at(offset_ms, self.offset_ms, self.utc_at)
        if not _EARLIEST_UTC_MS <= instant <= LATEST_UTC_MS:
            return None
        return None if event_day(instant) == UNSYNCED_DAY else instant


def first_fix(fixes: Iterable[Fix]) -> Fix | None:
    """The fix that dates a stream: of those that are known, the one with the lowest number.

    A gateway writes one per stream. Should there be more, a store that moved records by a later one
    before the first arrived leaves them so; rebuilding it applies the first to all.
    """
    return min(fixes, key=lambda fix: fix.seq, default=None)
