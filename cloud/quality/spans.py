"""Defines the result of a detector: unfit readings of a signal, and spans of them with a reason.

A span never changes a reading. It says from when to when a signal is unfit, of which kind the fault
is, and which figure showed it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from contract.quantities import Flag
from contract.signals import Signal

__all__ = ["Fault", "Found", "Span", "spans_of", "unfit_in"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Fault(StrEnum):
    """Names a kind of fault; names that the contract has are the contract's flags."""

    STUCK = Flag.STUCK.value  # the same value far longer than this signal ever has it
    SPIKE = "spike"  # one or two readings far from those before and after
    JUMP = Flag.JUMP.value  # a change far faster than this signal's, and the new level stays
    NOISE = "noise"  # neighbouring readings differ far more than this signal's
    IMPLAUSIBLE = "implausible"  # temperature and humidity that air cannot have together
    OUT_OF_RANGE = Flag.OUT_OF_RANGE.value  # outside the plausible range of the quantity
    DISAGREES = Flag.DISAGREES.value  # far from the signals that usually agree, for a day or more
    DRIFT = "drift"  # moves away from the signals that usually agree, over weeks


@dataclass(frozen=True, slots=True)
class Found:
    """Unfit readings of one series, as a detector returns them.

    Attributes:
        figure: For each reading the figure that shows its fault; NaN for a fit reading.
        known_ms: Instant of the reading that completed the evidence, ms since 1970 UTC; it has no
            meaning for a fit reading.
    """

    figure: Floats
    known_ms: Ints

    @property
    def unfit(self) -> Flags:
        """Whether each reading is unfit."""
        return ~np.isnan(self.figure)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A time in which a signal is unfit; both ends belong to it.

    Attributes:
        signal: The signal.
        fault: Kind of the fault.
        begin_ms: Instant of the first unfit reading, ms since 1970 UTC.
        end_ms: Instant of the last one.
        known_ms: Instant from which the begin of the span can be known.
        figure: The largest figure that showed the fault; its unit depends on the kind, see
            `docs/quality.md`.
    """

    signal: Signal
    fault: Fault
    begin_ms: int
    end_ms: int
    known_ms: int
    figure: float = field(compare=False)


def spans_of(
    signal: Signal, fault: Fault, at_ms: Ints, found: Found, together: int = 2
) -> list[Span]:
    """Return the spans of unfit readings, oldest first.

    Args:
        signal: The signal.
        fault: Kind of the fault.
        at_ms: Instants of the readings.
        found: A detector's result for these readings.
        together: Unfit readings that are at most so many rows apart belong to one span.
    """
    rows = np.flatnonzero(found.unfit)
    if not len(rows):
        return []
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > together) + 1)
    return [
        Span(
            signal=signal,
            fault=fault,
            begin_ms=int(at_ms[part[0]]),
            end_ms=int(at_ms[part[-1]]),
            known_ms=int(found.known_ms[part[0]]),
            figure=round(float(found.figure[part].max()), 6),
        )
        for part in parts
    ]


def unfit_in(spans: list[Span], from_ms: Ints, to_ms: Ints) -> Flags:
    """Return whether one of the spans overlaps each interval [from_ms, to_ms].

    Args:
        spans: Spans in any order.
        from_ms: Begins of the intervals.
        to_ms: Ends of the intervals, not before their begins.
    """
    # An interval overlaps no span if as many spans end before it as begin up to its end.
    begins = np.sort(np.array([span.begin_ms for span in spans], np.int64))
    ends = np.sort(np.array([span.end_ms for span in spans], np.int64))
    begun = np.searchsorted(begins, to_ms, side="right")
    ended = np.searchsorted(ends, from_ms, side="left")
    return np.asarray(begun > ended)
