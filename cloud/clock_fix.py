"""Dates records that were committed before the gateway's clock was set. Pure.

A ClockFix record names the UTC instant of one offset of its stream. The search projection and the
Spark transforms both call these functions, so that all stores have the same dates.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cloud.plausible import plausible_instant
from contract.blocks import Block
from contract.records import ClockFix

__all__ = ["Fix", "first_fix", "fixed_observed_at", "fixes_of"]


def fixed_observed_at(offset_ms: int, fix_offset_ms: int, fix_utc_at: int) -> int:
    """Returns the UTC instant of a record from its stream's ClockFix, ms since 1970.

    Args:
        offset_ms: Monotonic offset of the record in its stream.
        fix_offset_ms: Monotonic offset of the ClockFix record in the same stream.
        fix_utc_at: UTC instant that the ClockFix names, ms since 1970.
    """
    return fix_utc_at + offset_ms - fix_offset_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One ClockFix record with its place in its stream.

    Attributes:
        seq: Number of the record.
        offset_ms: Monotonic offset of the record in the stream.
        utc_at: Instant that the record names, ms since 1970 UTC.
    """

    seq: int
    offset_ms: int
    utc_at: int

    def observed_at(self, offset_ms: int, received_at: int) -> int | None:
        """Returns the instant of a record in the same stream, ms since 1970 UTC.

        None if the result is not plausible. Such a record stays undated.

        Args:
            offset_ms: Monotonic offset of the record.
            received_at: When the record was received, ms since 1970 UTC.
        """
        instant = fixed_observed_at(offset_ms, self.offset_ms, self.utc_at)
        return instant if plausible_instant(instant, received_at) else None


def first_fix(fixes: Iterable[Fix]) -> Fix | None:
    """Returns the fix that dates a stream: the known one with the lowest number.

    A gateway writes one per stream. If there are more, a store may have dated records by a later
    fix before the first one arrived. These records keep their dates until the store is rebuilt.
    """
    return min(fixes, key=lambda fix: fix.seq, default=None)


def fixes_of(block: Block, left_out: frozenset[int]) -> Iterator[Fix]:
    """Returns the ClockFixes of a block, without those whose numbers are in `left_out`."""
    first_event = block.last - len(block.events) + 1
    for seq, timed in enumerate(block.events, start=first_event):
        if isinstance(timed.event, ClockFix) and seq not in left_out:
            yield Fix(seq=seq, offset_ms=timed.offset_ms, utc_at=timed.event.utc_at)
