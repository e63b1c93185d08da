"""Compares forecast alerts with truth: counts hits, false alarms and misses.

An onset is the instant at which the condition becomes true. A forecast alert raised at t is a hit
if an onset is in (t, t + horizon]. Otherwise the alert is undecided until the horizon is over, and
then a false alarm. A miss is an onset after the device's first forecast that no alert forecast.
Earlier onsets are unforeseeable and counted separately.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

__all__ = ["AlertCounts", "Happened", "judge", "summed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounts:
    """Numbers of alerts and onsets.

    Attributes:
        observed: Alerts raised by the rule.
        forecast: Alerts raised by forecasts: hits, false alarms and undecided ones.
        hits: Forecast alerts with an onset within the horizon.
        false_alarms: Forecast alerts without an onset within the horizon.
        undecided: Forecast alerts for which truth is not known up to the end of the horizon.
        misses: Onsets without a hit, after the device's first forecast.
        unforeseeable: Onsets up to the device's first forecast; all onsets if there is none.
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
    """History of one condition on one device; instants in ms since 1970 UTC.

    Attributes:
        observed: Number of alerts that the rule raised.
        raised: Times of forecast alerts; None where the clock was not believable.
        began: Times of onsets.
        first_forecast_at: Time of the device's first forecast; None if there is none.
        known_until: Truth is known up to this time; None if no truth is known.
        earlier: Times of forecast alerts before `raised`. They are not counted, but an onset after
            one of them may not be a miss.
        later: Times of onsets after `began`. They are not counted, but may make an alert a hit.
    """

    observed: int
    raised: Sequence[int | None]
    began: Sequence[int]
    first_forecast_at: int | None
    known_until: int | None
    earlier: Sequence[int] = ()
    later: Sequence[int] = ()


def judge(happened: Happened, horizon_s: int) -> AlertCounts:
    """Return the counts of one condition on one device.

    Args:
        happened: History of the condition.
        horizon_s: The condition's horizon, seconds.
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
    """Return the sums over several devices."""
    found = list(counts)
    names = [field.name for field in fields(AlertCounts)]
    return AlertCounts(**{name: sum(getattr(c, name) for c in found) for name in names})


def _any_in(instants: Sequence[int], after: int, until: int) -> bool:
    """Return whether a sorted sequence has an instant in (after, until]."""
    return bisect_right(instants, until) > bisect_right(instants, after)
