"""Evaluation of a condition over samples: which steps it holds in, and when that changed.

Pure: samples go in with their times, steps come out, nothing asks a clock. Standard library only.

Time runs in steps of `step_s`, aligned to 1970-01-01T00:00Z (to the stream's begin while the clock
is not believable). A step completes as soon as each of its signals has a fit sample in it, or, for
a signal that is overdue, when the step ends: then the last value counts if it is not older than
`max_age_s`. Where a signal has no value, the step has no verdict: none is given for it, what held
goes on holding, and a duration begins anew.
"""

import math
from dataclasses import dataclass, field

from models.conditions import Condition, Derived, signals_of

__all__ = ["Evaluator", "EvaluatorState", "Sample", "Step", "dew_point_c"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of one signal at one instant.

    Attributes:
        at_ms: Instant, ms, on the time line that the steps count on.
        value: In the signal's unit; None if there was none fit to judge by.
    """

    at_ms: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """The verdict of one completed step.

    Attributes:
        begins_ms: Begin of the step.
        at_ms: When it completed: the instant of the sample that did, or the step's end.
        value: The signal's value.
        holds: Whether the condition holds after this step.
        changed: Whether it did not hold before, or held and no longer does.
        full: Whether a sample completed it; False if it ended with signals overdue.
    """

    begins_ms: int
    at_ms: int
    value: float
    holds: bool
    changed: bool
    full: bool


def dew_point_c(temperature_c: float, humidity_pct: float) -> float:
    """Dew point over water in degrees Celsius, by the Magnus formula.

    Coefficients 17.62 and 243.12 degrees: WMO-No. 8, Guide to Instruments and Methods of
    Observation, annex 4.B, valid -45 to 60 degrees.

    Args:
        temperature_c: Air temperature, degrees Celsius.
        humidity_pct: Relative humidity, %, above 0.
    """
    gamma = math.log(humidity_pct / 100.0) + 17.62 * temperature_c / (243.12 + temperature_c)
    return 243.12 * gamma / (17.62 - gamma)


@dataclass(slots=True)
class EvaluatorState:
    """What an evaluator remembers between samples; plain, so that it can be stored.

    Attributes:
        latest: Per signal its last fit sample.
        step_ms: Begin of the step being filled, None before the first fit sample.
        completed_ms: Begin of the last completed step.
        holds: Whether the condition holds.
        beyond_since_ms: Since when the signal has been beyond the limit without a break.
    """

    latest: dict[str, Sample] = field(default_factory=dict)
    step_ms: int | None = None
    completed_ms: int | None = None
    holds: bool = False
    beyond_since_ms: int | None = None


class Evaluator:
    """Replays one condition over samples in the order of their times."""

    def __init__(self, condition: Condition, state: EvaluatorState | None = None) -> None:
        self.condition = condition
        self.state = state or EvaluatorState()
        self._signals = signals_of(condition)
        self._step_ms = condition.step_s * 1000
        self._max_age_ms = condition.max_age_s * 1000

    def take(self, signal: str, sample: Sample) -> list[Step]:
        """Verdicts that this sample completes, oldest first.

        Samples of other signals move time on too: steps that ended before the sample are complete.
        A sample older than the signal's last one, or of a step that has ended, comes too late.
        """
        steps = self.advance(sample.at_ms)
        if signal not in self._signals or sample.value is None or self._late(signal, sample):
            return steps
        state, begins = self.state, self._step_of(sample.at_ms)
        state.latest[signal] = sample
        state.step_ms = begins
        at_ms = max(s.at_ms for s in state.latest.values())
        if state.completed_ms != begins and self._full(begins, at_ms):
            steps += self._complete(begins, at_ms, full=True)
        return steps

    def advance(self, now_ms: int) -> list[Step]:
        """Verdicts of the steps that ended by `now_ms` without being full: signals are overdue."""
        state = self.state
        current = self._step_of(now_ms)
        if state.step_ms is None or current <= state.step_ms:
            return []
        begins, state.step_ms = state.step_ms, current
        if state.completed_ms == begins:
            begins += self._step_ms
        steps: list[Step] = []
        for ended in range(begins, current, self._step_ms):
            verdict = self._complete(ended, ended + self._step_ms, full=False)
            if not verdict:
                break  # nothing came in since, so the steps after it have no value either
            steps += verdict
        return steps

    def rebase(self, delta_ms: int | None) -> None:
        """Moves everything remembered to another time line.

        Args:
            delta_ms: New minus old instant; None if nobody knows: then only whether the condition
                holds is kept.
        """
        old = self.state
        if delta_ms is None:
            self.state = EvaluatorState(holds=old.holds)
            return
        latest = {name: Sample(s.at_ms + delta_ms, s.value) for name, s in old.latest.items()}
        step = None
        if old.step_ms is not None:
            instants = (old.step_ms + delta_ms, *(s.at_ms for s in latest.values()))
            step = self._step_of(max(instants))
        since = old.beyond_since_ms
        self.state = EvaluatorState(
            latest=latest,
            step_ms=step,
            completed_ms=step if old.completed_ms == old.step_ms else None,
            holds=old.holds,
            beyond_since_ms=None if since is None else since + delta_ms,
        )

    def _step_of(self, at_ms: int) -> int:
        return at_ms - at_ms % self._step_ms

    def _late(self, signal: str, sample: Sample) -> bool:
        known, step_ms = self.state.latest.get(signal), self.state.step_ms
        if known is not None and sample.at_ms < known.at_ms:
            return True
        return step_ms is not None and sample.at_ms < step_ms

    def _full(self, begins_ms: int, at_ms: int) -> bool:
        latest, oldest_ms = self.state.latest, max(begins_ms, at_ms - self._max_age_ms)
        return all(s in latest and latest[s].at_ms >= oldest_ms for s in self._signals)

    def _complete(self, begins_ms: int, at_ms: int, *, full: bool) -> list[Step]:
        state = self.state
        state.completed_ms = begins_ms
        value = self._value(at_ms)
        if value is None:
            state.beyond_since_ms = None
            return []
        held = state.holds
        self._judge(value, at_ms)
        return [Step(begins_ms, at_ms, value, state.holds, state.holds != held, full)]

    def _judge(self, value: float, at_ms: int) -> None:
        state, condition = self.state, self.condition
        if not condition.beyond(value):
            state.beyond_since_ms = None
            if state.holds and condition.back(value):
                state.holds = False
            return
        if state.beyond_since_ms is None:
            state.beyond_since_ms = at_ms
        if at_ms - state.beyond_since_ms >= condition.duration_s * 1000:
            state.holds = True

    def _value(self, at_ms: int) -> float | None:
        values = [self._fresh(signal, at_ms) for signal in self._signals]
        if any(v is None for v in values):
            return None
        if self.condition.derived is Derived.DEW_POINT_MARGIN:
            return _dew_point_margin(*(v for v in values if v is not None))
        return values[0]

    def _fresh(self, signal: str, at_ms: int) -> float | None:
        sample = self.state.latest.get(signal)
        if sample is None or at_ms - sample.at_ms > self._max_age_ms:
            return None
        return sample.value


def _dew_point_margin(temperature_c: float, humidity_pct: float) -> float | None:
    if humidity_pct <= 0:
        return None
    return temperature_c - dew_point_c(temperature_c, humidity_pct)
