"""Counts warnings and events on the windows that judged a model.

A warning begins and ends as a gateway's forecast alert does: it begins with the first forecast of
at least `warn_at`, and ends with a lower one, with the event, or after one horizon without a
forecast. It comes true if an event follows within the horizon. An event counts if a window of the
horizon before it was judged; others could not be announced.
"""

import numpy as np
from numpy.typing import NDArray

from cloud.expectation import Expectation, lead_of
from cloud.training.history import History
from models.conditions import Condition

__all__ = ["expected"]

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


def expected(
    history: History,
    judged: History,
    probability: NDArray[np.float64],
    condition: Condition,
    warn_at: float,
) -> Expectation:
    """Return the counts of all devices.

    Args:
        history: All steps of the condition.
        judged: The windows that judged the model, for each device oldest first.
        probability: The model's probability for each of these windows.
        condition: The condition.
        warn_at: Probability from which a forecast raises a warning.
    """
    warned = np.round(probability, 6) >= warn_at  # rounded as on a gateway
    counts = np.zeros(4, np.int64)
    for device in np.unique(judged.devices.astype(str)).tolist():
        begun = history.rows((history.devices == device) & history.changed & history.holds)
        own = judged.devices == device
        counts += _of_device(judged.rows(own), warned[own], begun.at_ms, condition)
    warnings_total, warnings_true, events_total, events_announced = counts.tolist()
    return Expectation(
        warn_at=warn_at,
        lead_s=lead_of(condition.horizon_s),
        warnings_total=warnings_total,
        warnings_true=warnings_true,
        events_total=events_total,
        events_announced=events_announced,
    )


def _of_device(own: History, warned: Flags, events_ms: Ints, condition: Condition) -> Ints:
    """Return warnings, those that came true, events, and those that were announced."""
    following = np.searchsorted(events_ms, own.at_ms, side="right")  # the next event's number
    near = np.diff(own.at_ms) < condition.horizon_s * 1000
    still = warned[:-1] & near & (following[1:] == following[:-1])
    opened = warned & ~np.concatenate(([False], still))
    onset = own.labels == 1
    ahead_ms = np.zeros(len(own), np.int64)
    ahead_ms[onset] = events_ms[following[onset]] - own.at_ms[onset]
    early = onset & warned & (ahead_ms >= lead_of(condition.horizon_s) * 1000)
    found = (opened.sum(), (opened & onset).sum())
    events = (len(np.unique(following[onset])), len(np.unique(following[early])))
    return np.array([*found, *events], np.int64)
