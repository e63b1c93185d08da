"""Says in sentences what you can expect of a model's warnings."""

from dataclasses import dataclass

__all__ = ["FEWEST", "Expectation", "lead_of", "sentences"]

FEWEST = 10  # fewer events or warnings are counted, but give no ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Counts of warnings and events in the weeks that judged a model.

    Attributes:
        warn_at: Probability from which a forecast raised a warning.
        lead_s: Time before an event, seconds; a warning that much earlier announces it.
        warnings_total: Number of warnings.
        warnings_true: Number of these with an event within the horizon.
        events_total: Number of events before which a forecast was made.
        events_announced: Number of these with a warning at least `lead_s` before.
    """

    warn_at: float
    lead_s: int
    warnings_total: int
    warnings_true: int
    events_total: int
    events_announced: int


def lead_of(horizon_s: int) -> int:
    """Returns the time before an event at which a warning is early: a third of the horizon."""
    return horizon_s // 3


def sentences(found: Expectation) -> tuple[str, ...]:
    """Returns the counts as sentences, with a ratio only where there are enough of them."""
    if not (found.events_total or found.warnings_total):
        return ("No event and no warning in the judged weeks.",)
    announced, total = found.events_announced, found.events_total
    before = f"announced at least {_duration(found.lead_s)} before"
    if total < FEWEST:
        events = f"Events: {total}, too few for a ratio; {announced} {before}."
        return events, f"Warnings: {found.warnings_total}; {found.warnings_true} came true."
    of_ten = round(10 * announced / total)
    return _warnings(found), f"{of_ten} of 10 events are {before} ({announced} of {total})."


def _warnings(found: Expectation) -> str:
    if found.warnings_total < FEWEST:
        few = f"Warnings: {found.warnings_total}, too few for a ratio"
        return f"{few}; {found.warnings_true} came true."
    of_ten = round(10 * found.warnings_true / found.warnings_total)
    come = "comes" if of_ten == 1 else "come"
    counts = f"{found.warnings_true} of {found.warnings_total}"
    return f"Of 10 warnings {of_ten} {come} true ({counts})."


def _duration(duration_s: int) -> str:
    for unit, length_s in (("h", 3600), ("min", 60)):
        if duration_s >= length_s:
            return f"{duration_s / length_s:.3g} {unit}"
    return f"{duration_s} s"
