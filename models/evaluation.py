"""Evaluates a condition over samples: in which steps it holds, and when that changes.

The input is samples with their times, the output is steps; no clock is read. Standard library only.

Time is divided into steps of `step_s`, aligned to 1970-01-01T00:00Z (to the stream's begin while
the clock is not trusted). A step completes as soon as each signal has a usable sample in it. If a
signal is overdue, the step completes when it ends, and the signal's last value is used unless it is
older than `max_age_s`. If a signal has no value, the step has no verdict: the condition keeps its
state, and a duration starts again.

With a declared statistic, such as the maximum, a step completes when it ends. The statistic is that
of all its values. They must cover at least half of the step, or it has no verdict. A step without a
sample uses the last value, unless it is older than `max_age_s`.
"""

from dataclasses import dataclass

from contract.signals import Signal
from models.conditions import Condition, signals_of
from models.criteria import Saved, criterion_of
from models.filling import Filling

__all__ = ["Evaluator", "Sample", "Step"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Holds a value of one signal at one instant.

    Attributes:
        at_ms: Instant, ms, on the time line of the steps.
        value: Value in the signal's unit; None if there was no usable value.
    """

    at_ms: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """Holds the verdict of one completed step.

    Attributes:
        begins_ms: Begin of the step.
        at_ms: Instant at which the step completed: the last sample's, or the step's end.
        value: The signal's value.
        holds: Whether the condition holds after this step.
        changed: Whether this step changed `holds`.
        full: Whether a sample completed the step; False if the step ended with overdue signals.
    """

    begins_ms: int
    at_ms: int
    value: float
    holds: bool
    changed: bool
    full: bool


class Evaluator:
    """Evaluates one condition over samples in the order of their times.

    Args:
        condition: The condition.
        holds: Whether the condition held before the first sample.
    """

    def __init__(self, condition: Condition, *, holds: bool = False) -> None:
        self.condition = condition
        self._signals = signals_of(condition)
        self._step_ms = condition.step_s * 1000
        self._max_age_ms = condition.max_age_s * 1000
        self._latest: dict[Signal, Sample] = {}  # the last usable sample of each signal
        self._filling_ms: int | None = None  # begin of the step that is being filled
        self._completed_ms: int | None = None  # begin of the last completed step
        self._criterion = criterion_of(condition, {"holds": holds})
        self._values = None if condition.statistic is None else Filling(condition, {})

    @classmethod
    def restored(cls, condition: Condition, saved: Saved) -> "Evaluator":
        """Returns an evaluator that continues from the state `saved`."""
        evaluator = cls(condition)
        evaluator._latest = {Signal.parse(n): Sample(*row) for n, row in saved["latest"].items()}
        evaluator._filling_ms = saved["step_ms"]
        evaluator._completed_ms = saved["completed_ms"]
        evaluator._criterion = criterion_of(condition, saved)
        if condition.statistic is not None:
            evaluator._values = Filling(condition, saved.get("values", {}))
        return evaluator

    def saved(self) -> dict[str, object]:
        """Returns the JSON-ready state."""
        return {
            "latest": {str(signal): [s.at_ms, s.value] for signal, s in self._latest.items()},
            "step_ms": self._filling_ms,
            "completed_ms": self._completed_ms,
            **self._criterion.saved(),
            **({} if self._values is None else {"values": self._values.saved()}),
        }

    @property
    def holds(self) -> bool:
        """Whether the condition holds."""
        return self._criterion.holds

    def is_ahead_of(self, now_ms: int) -> bool:
        """Returns whether the state belongs to a later step than `now_ms`."""
        return self._filling_ms is not None and self._filling_ms > now_ms

    def take(self, signal: Signal, sample: Sample) -> list[Step]:
        """Returns the verdicts of the steps that this sample completes, oldest first.

        Samples of other signals also complete the steps that ended before them. A sample is ignored
        if it is older than the signal's last one, or belongs to a step that has ended.
        """
        steps = self.advance(sample.at_ms)
        if signal not in self._signals or sample.value is None or self._late(signal, sample):
            return steps
        begins = self._step_of(sample.at_ms)
        self._latest[signal] = sample
        self._filling_ms = begins
        at_ms = max(s.at_ms for s in self._latest.values())
        if self._values is not None:
            value = self._value(at_ms)
            if value is not None:
                self._values.take(at_ms, value)
            return steps
        if self._completed_ms != begins and self._full(begins, at_ms):
            steps += self._complete(begins, at_ms, full=True)
        return steps

    def advance(self, now_ms: int) -> list[Step]:
        """Returns the verdicts of steps that ended by `now_ms` while signals were overdue."""
        current = self._step_of(now_ms)
        if self._filling_ms is None or current <= self._filling_ms:
            return []
        begins, self._filling_ms = self._filling_ms, current
        if self._completed_ms == begins:
            begins += self._step_ms
        steps: list[Step] = []
        for ended in range(begins, current, self._step_ms):
            verdict = self._complete(ended, ended + self._step_ms, full=False)
            if not verdict and self._value(ended + self._step_ms) is None:
                break  # there were no samples since, so the later steps have no value either
            steps += verdict
        return steps

    def rebase(self, delta_ms: int | None) -> None:
        """Moves the state to another time line.

        Args:
            delta_ms: New minus old instant; None if unknown: then only `holds` is kept.
        """
        self._criterion.rebase(delta_ms)
        if self._values is not None:
            self._values.rebase(delta_ms)
        if delta_ms is None:
            self._latest, self._filling_ms, self._completed_ms = {}, None, None
            return
        moved = {name: Sample(s.at_ms + delta_ms, s.value) for name, s in self._latest.items()}
        step = None
        if self._filling_ms is not None:
            instants = (self._filling_ms + delta_ms, *(s.at_ms for s in moved.values()))
            step = self._step_of(max(instants))
        self._completed_ms = step if self._completed_ms == self._filling_ms else None
        self._latest, self._filling_ms = moved, step

    def _step_of(self, at_ms: int) -> int:
        return at_ms - at_ms % self._step_ms

    def _late(self, signal: Signal, sample: Sample) -> bool:
        known, step_ms = self._latest.get(signal), self._filling_ms
        if known is not None and sample.at_ms < known.at_ms:
            return True
        return step_ms is not None and sample.at_ms < step_ms

    def _full(self, begins_ms: int, at_ms: int) -> bool:
        latest, oldest_ms = self._latest, max(begins_ms, at_ms - self._max_age_ms)
        return all(s in latest and latest[s].at_ms >= oldest_ms for s in self._signals)

    def _complete(self, begins_ms: int, at_ms: int, *, full: bool) -> list[Step]:
        self._completed_ms = begins_ms
        value = self._value_of_step(begins_ms, at_ms)
        if value is None:
            self._criterion.skip()
            return []
        held = self.holds
        self._criterion.judge(value, at_ms)
        return [Step(begins_ms, at_ms, value, self.holds, self.holds != held, full)]

    def _value_of_step(self, begins_ms: int, at_ms: int) -> float | None:
        if self._values is None or self._values.empty:
            return self._value(at_ms)
        return self._values.close(begins_ms)

    def _value(self, at_ms: int) -> float | None:
        fresh = [self._fresh(signal, at_ms) for signal in self._signals]
        values = [value for value in fresh if value is not None]
        if len(values) < len(fresh):
            return None
        derived = self.condition.derived
        return values[0] if derived is None else derived.facts.value(*values)

    def _fresh(self, signal: Signal, at_ms: int) -> float | None:
        sample = self._latest.get(signal)
        if sample is None or at_ms - sample.at_ms > self._max_age_ms:
            return None
        return sample.value
