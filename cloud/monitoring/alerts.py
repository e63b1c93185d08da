"""Forecast alerts against truth: hits, false alarms, misses. Pure.

A forecast alert raised at t is a hit if the condition began in (t, t + horizon]; else it is a false
alarm once the horizon is over, and undecided until then. A miss is a begin that no alert foresaw,
from the device's first forecast on; begins up to then are unforeseeable and counted apart.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

__all__ = ["AlertCounts", "Happened", "judge", "summed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounts:
    """Alerts against truth.

    Attributes:
        observed: Raised by the rule.
        forecast: Raised by a forecast; hits, false alarms and undecided ones together.
        hits: The condition began within the horizon.
        false_alarms: It did not.
        undecided: What happened within the horizon is not known yet.
        misses: Begins without a hit, of those after the first forecast.
        unforeseeable: Begins before the device had made its first forecast.
    """

    observed: int
    forecast: int
    hits: int
    false_alarms: int
    undecided: int
    misses: int
    unforeseeable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What happened to one condition on one device; instants in ms since 1970 UTC.

    Attributes:
        observed: Number of alerts that the rule raised.
        raised: When a forecast raised one; None where the clock was not believable.
        began: When the condition began.
        first_forecast_at: Of the device; None if it has made none.
        known_until: Up to when truth is known; None if nothing is.
        earlier: When forecasts raised alerts before those: not counted, but they may have foreseen.
        later: When the condition began after those, likewise: not counted, but foreseen perhaps.
    """

    observed: int
    raised: Sequence[int | None]
    began: Sequence[int]
    first_forecast_at: int | None
    known_until: int | None
    earlier: Sequence[int] = ()
    later: Sequence[int] = ()


def judge(happened: Happened, horizon_s: int) -> AlertCounts:
    """The counts of one condition on one device.

    Args:
        happened: What happened.
        horizon_s: How far ahead a forecast looks, seconds.
    """
    horizon_ms, began, first = horizon_s * 1000, happened.began, happened.first_forecast_at
    dated = [at for at in happened.raised if at is not None]
    known_until = -1 if happened.known_until is None else happened.known_until
    begins = sorted([*began, *happened.later])
    came = [_any_in(begins, at, at + horizon_ms) for at in dated]
    hits = sum(came)
    false_alarms = sum(
        at + horizon_ms <= known_until for at, hit in zip(dated, came, strict=True) if not hit
    )
    foreseeable = [] if first is None else [b for b in began if b > first]
    warned = sorted([*happened.earlier, *dated])
    return AlertCounts(
        observed=happened.observed,
        forecast=len(happened.raised),
        hits=hits,
        false_alarms=false_alarms,
        undecided=len(happened.raised) - hits - false_alarms,
        misses=sum(not _any_in(warned, b - horizon_ms - 1, b - 1) for b in foreseeable),
        unforeseeable=len(began) - len(foreseeable),
    )


def summed(counts: Iterable[AlertCounts]) -> AlertCounts:
    """Of several devices together."""
    found = list(counts)
    names = [field.name for field in fields(AlertCounts)]
    return AlertCounts(**{name: sum(getattr(c, name) for c in found) for name in names})


def _any_in(instants: Sequence[int], after: int, until: int) -> bool:
    """Whether a rising sequence has an instant in (after, until]."""
    return bisect_right(instants, until) > bisect_right(instants, after)
