"""Finds declarations that are allowed but label little: limits that jittered readings miss.

Standard library only.
"""

from collections.abc import Iterable, Mapping

from models.conditions import Condition, signals_of

__all__ = ["advice"]


def advice(conditions: Iterable[Condition], interval_s: Mapping[str, float]) -> list[str]:
    """Returns one message for each condition whose steps often have no value.

    A step without a reading uses the last value, if that is not older than `max_age_s`. A reading
    comes a little earlier or later than planned, so a step of one interval may have none. Without
    a value the step has no verdict, and every label whose horizon contains it is unknown.

    Args:
        conditions: The declared conditions.
        interval_s: Seconds between two readings, by sensor id; sensors may be missing.
    """
    found = []
    for condition in conditions:
        sensors = {signal.sensor_id for signal in signals_of(condition)}
        known = [interval_s[sensor] for sensor in sensors if sensor in interval_s]
        # Without an interval assume one reading in each step, the fewest that makes sense.
        longest_s = max(known, default=float(condition.step_s))
        seldom = 2 * longest_s > condition.step_s  # then a step may have no reading
        least_s = longest_s + (condition.step_s if seldom else longest_s)
        if condition.max_age_s < least_s:
            found.append(
                f"[[condition]] {condition.id}: max_age_s = {condition.max_age_s} is too short for "
                f"readings every {longest_s:g} s and step_s = {condition.step_s}: steps without a "
                "reading have no verdict, so labels are unknown and no model can be trained. Set "
                f"max_age_s to {least_s:g} or more"
            )
    return found
