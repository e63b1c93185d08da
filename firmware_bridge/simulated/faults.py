"""Defines the faults that a simulated chip can show, and how long they last."""

from collections import deque
from collections.abc import Collection
from enum import StrEnum

__all__ = ["Fault", "Faults"]


class Fault(StrEnum):
    """One way in which a chip or its wiring fails."""

    ABSENT = "absent"  # nothing acknowledges, or the line stays silent
    CHECK_FLIPPED = "check_flipped"  # one bit of a checksum or sum arrives wrong
    STUCK_BUSY = "stuck_busy"  # a measurement never ends
    FLOATING = "floating"  # every bit reads 1
    STUCK_LOW = "stuck_low"  # every bit reads 0
    WRONG_ID = "wrong_id"  # a related chip is at its address
    SLOW = "slow"  # a measurement takes longer than the data sheet allows
    UNSTEADY = "unsteady"  # a contact bounces while it is sampled
    MISSING_EDGE = "missing_edge"  # a pulse was too short for the board to see


class Faults:
    """The faults of one simulated chip: a lasting one, and queued ones for one measurement each.

    A queued `absent` ends after one transaction, because no measurement begins.
    """

    def __init__(self, possible: Collection[Fault]) -> None:
        """Store the faults that this chip can show."""
        self.possible = frozenset(possible)
        self._lasting: Fault | None = None
        self._current: Fault | None = None
        self._queued: deque[Fault | None] = deque()

    def last(self, fault: Fault | None) -> None:
        """Show `fault` from now on; None for no fault."""
        self._require_possible(fault)
        self._lasting = fault

    def queue(self, *faults: Fault | None) -> None:
        """Show these in the next measurements, one each; None is a measurement without a fault."""
        for fault in faults:
            self._require_possible(fault)
        self._queued.extend(faults)

    def refuses(self) -> bool:
        """Return whether this transaction is not acknowledged; remove a queued `absent`."""
        if self._queued and self._queued[0] is Fault.ABSENT:
            self._queued.popleft()
            return True
        return self._lasting is Fault.ABSENT

    def begin_measurement(self) -> None:
        """Go on to the next queued fault."""
        self._current = self._queued.popleft() if self._queued else None

    def end_measurement(self) -> None:
        """End the measurement and its fault."""
        self._current = None

    def shows(self, fault: Fault) -> bool:
        """Return whether `fault` is lasting or belongs to the current measurement."""
        return fault in (self._lasting, self._current)

    def _require_possible(self, fault: Fault | None) -> None:
        if fault is not None and fault not in self.possible:
            raise ValueError(f"this chip cannot show {fault}; it can show {sorted(self.possible)}")
