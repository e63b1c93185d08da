"""Evaluation of a condition over samples: which steps it holds in, and when that changed.

Pure: samples go in with their times, steps come out, nothing asks a clock. Standard library only.

Time runs in steps of `step_s`, aligned to 1970-01-01T00:00Z (to the stream's begin while the clock
is not believable). A step completes as soon as each of its signals has a fit sample in it, or, for
a signal that is overdue, when the step ends: then the last value counts if it is not older than
`max_age_s`. Where a signal has no value, the step has no verdict: none is given for it, what held
goes on holding, and a duration begins anew.
"""

from dataclasses import dataclass

from contract.signals import Signal
from models.conditions import Condition, signals_of
from models.criteria import Saved, criterion_of

__all__ = ["Evaluator", "Sample", "Step"]


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


class Evaluator:
    """Evaluates one condition over samples in the order of their times.

    Args:
        condition: What is judged.
        holds: Whether it held before the first sample.
    """

    def __init__(self, condition: Condition, *, holds: bool = False) -> None:
        self.condition = condition
        self._signals = signals_of(condition)
        self._step_ms = condition.step_s * 1000
        self._max_age_ms = condition.max_age_s * 1000
        self._latest: dict[Signal, Sample] = {}  # the last fit sample of each signal
        self._filling_ms: int | None = None  # begin of the step that is being filled
        self._completed_ms: int | None = None  # begin of the last completed step
        self._criterion = criterion_of(condition, {"holds": holds})

    @classmethod
    def restored(cls, condition: Condition, saved: Saved) -> "Evaluator":
        """One that goes on where `saved` was made."""
        evaluator = cls(condition)
        evaluator._latest = {Signal.parse(n): Sample(*row) for n, row in saved["latest"].items()}
        evaluator._filling_ms = saved["step_ms"]
        evaluator._completed_ms = saved["completed_ms"]
        evaluator._criterion = criterion_of(condition, saved)
        return evaluator

    def saved(self) -> dict[str, object]:
        """All that it remembers, as JSON has it."""
        return {
            "latest": {str(signal): [s.at_ms, s.value] for signal, s in self._latest.items()},
            "step_ms": self._filling_ms,
            "completed_ms": self._completed_ms,
            **self._criterion.saved(),
        }

    @property
    def holds(self) -> bool:
        """Whether the condition holds."""
        return self._criterion.holds

    def is_ahead_of(self, now_ms: int) -> bool:
        """Whether what it remembers is of a later step than the one of this instant's."""
        return self._filling_ms is not None and self._filling_ms > now_ms

    def take(self, signal: Signal, sample: Sample) -> list[Step]:
        """Verdicts that this sample completes, oldest first.

        Samples of other signals move time on too: steps that ended before the sample are complete.
        A sample older than the signal's last one, or of a step that has ended, comes too late.
        """
        steps = self.advance(sample.at_ms)
        if signal not in self._signals or sample.value is None or self._late(signal, sample):
            return steps
        begins = self._step_of(sample.at_ms)
        self._latest[signal] = sample
        self._filling_ms = begins
        at_ms = max(s.at_ms for s in self._latest.values())
        if self._completed_ms != begins and self._full(begins, at_ms):
            steps += self._complete(begins, at_ms, full=True)
        return steps

    def advance(self, now_ms: int) -> list[Step]:
        """Verdicts of the steps that ended by `now_ms` without being full: signals are overdue."""
        current = self._step_of(now_ms)
        if self._filling_ms is None or current <= self._filling_ms:
            return []
        begins, self._filling_ms = self._filling_ms, current
        if self._completed_ms == begins:
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
        self._criterion.rebase(delta_ms)
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
        value = self._value(at_ms)
        if value is None:
            self._criterion.skip()
            return []
        held = self.holds
        self._criterion.judge(value, at_ms)
        return [Step(begins_ms, at_ms, value, self.holds, self.holds != held, full)]

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
