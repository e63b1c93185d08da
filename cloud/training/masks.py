"""Decides which labels and windows depend on unfit readings. Pure.

A rule evaluates every usable reading, also an unfit one, because it must never be silent. So a
step keeps the rule's verdict. A label is a claim about the air and not about the sensor: it is
unknown if one of its steps depends on an unfit reading.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from cloud.quality.spans import Span, unfit_in
from contract.signals import Signal
from models.conditions import Condition, inputs_of, signals_of
from models.features import HOUR_MS, LAGS, MAX_AGE_H
from models.replay import Steps

__all__ = ["fit_windows", "masked_labels"]

Flags = NDArray[np.bool_]

_REACH_MS = int((LAGS - 1 + max(MAX_AGE_H)) * HOUR_MS)  # largest age of a window's reading


def masked_labels(steps: Steps, condition: Condition, spans: Sequence[Span]) -> Flags:
    """Return for each step whether its label depends on an unfit reading.

    The label depends on the step itself, which must be false, and on the steps of the horizon.

    Args:
        steps: The steps of the condition on one device.
        condition: The condition.
        spans: Times in which signals of the device are unfit.
    """
    own = _of(spans, signals_of(condition))
    if not own or not len(steps):
        return np.zeros(len(steps), np.bool_)
    # A step that time completed may use a value of an earlier step.
    oldest_ms = np.where(steps.full, steps.begins_ms, steps.at_ms - condition.max_age_s * 1000)
    if condition.statistic is not None:
        oldest_ms = np.minimum(oldest_ms, steps.begins_ms)
    unfit = unfit_in(own, oldest_ms, np.maximum(steps.at_ms, oldest_ms))
    count = np.concatenate(([0], np.cumsum(unfit)))
    horizon_ms = condition.horizon_s // condition.step_s * condition.step_s * 1000
    after = np.searchsorted(steps.begins_ms, steps.begins_ms + horizon_ms, side="right")
    return np.asarray(count[after] > count[np.arange(len(steps))])


def fit_windows(steps: Steps, condition: Condition, spans: Sequence[Span]) -> Flags:
    """Return for each step whether its window has no unfit reading.

    Args:
        steps: The steps of the condition on one device.
        condition: The condition, whose model's inputs are looked at.
        spans: Times in which signals of the device are unfit.
    """
    inputs = {*signals_of(condition), *(s for s in inputs_of(condition) if s is not None)}
    return ~unfit_in(_of(spans, inputs), steps.at_ms - _REACH_MS, steps.at_ms)


def _of(spans: Sequence[Span], signals: Collection[Signal]) -> list[Span]:
    return [span for span in spans if span.signal in signals]
