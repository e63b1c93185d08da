"""Conditions: what a person wants to be warned of, declared once.

The same declaration is the rule that a gateway evaluates now and, replayed over history, the label
a model is trained for and the truth it is judged by. So the evaluation here is pure: samples go in
with their times, steps come out, and nothing asks a clock. Standard library only.

Time runs in steps of `step_s`, aligned to 1970-01-01T00:00Z (to the stream's begin while the clock
is not believable). A step closes at its end. It completes as soon as each of its signals has a fit
sample in it, or, for a signal that is overdue, when the step ends: then the last value counts if it
is not older than `max_age_s`, else the signal has no value and the step no verdict.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from contract.errors import ConfigError, ContractError
from contract.quantities import QUANTITY_FACTS, Quantity
from contract.typed import Between, Id, Pattern, build

__all__ = [
    "Comparison",
    "Condition",
    "Derived",
    "Evaluator",
    "Sample",
    "Step",
    "dew_point_c",
    "load_conditions",
    "signals_of",
]

SignalName = Annotated[
    str,
    Pattern(
        r"[a-z0-9][a-z0-9-]{0,62}/(temperature|humidity|pressure)",
        "<sensor id>/<quantity>, such as attic/temperature",
    ),
]
Seconds = Annotated[int, Between(0, 10**8)]


class Comparison(StrEnum):
    """On which side of its limit a condition holds; the limit itself is not beyond it."""

    ABOVE = "above"
    BELOW = "below"


class Derived(StrEnum):
    """A signal computed from two others of the same step."""

    DEW_POINT_MARGIN = "dew_point_margin"  # K; temperature minus dew point


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One declaration.

    Attributes:
        id: Name of the condition, the same on every gateway.
        signal: `<sensor id>/<quantity>`, for a plain condition.
        derived: For a derived one instead of `signal`: how it is computed.
        temperature: The temperature signal that a derived one is paired from.
        humidity: The humidity signal that it is paired with.
        comparison: Above or below the limit.
        limit: In the signal's unit; K for a margin.
        hysteresis: How far back across the limit the signal must come to end it, same unit.
        duration_s: How long it must hold before it is raised, seconds.
        horizon_s: How far ahead a model forecasts its onset, seconds.
        step_s: Length of a step, seconds.
        max_age_s: The oldest value that still counts for a step, seconds.
        warn_at: Probability from which a forecast raises an alert.
    """

    id: Id
    comparison: Comparison
    limit: float
    step_s: Annotated[int, Between(1, 86_400)]
    max_age_s: Annotated[int, Between(1, 10**6)]
    signal: SignalName | None = None
    derived: Derived | None = None
    temperature: SignalName | None = None
    humidity: SignalName | None = None
    hysteresis: Annotated[float, Between(0, 1e6)] = 0.0
    duration_s: Seconds = 0
    horizon_s: Seconds = 21_600
    warn_at: Annotated[float, Between(0, 1)] = 0.5

    def beyond(self, value: float) -> bool:
        """Whether the value is beyond the limit."""
        above = self.comparison is Comparison.ABOVE
        return value > self.limit if above else value < self.limit

    def back(self, value: float) -> bool:
        """Whether the value has come back across limit and hysteresis."""
        if self.comparison is Comparison.ABOVE:
            return value <= self.limit - self.hysteresis
        return value >= self.limit + self.hysteresis


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
        value: The signal's value; None if there was no fit one.
        holds: Whether the condition holds after this step.
        changed: Whether it did not hold before, or held and no longer does.
    """

    begins_ms: int
    at_ms: int
    value: float | None
    holds: bool
    changed: bool


def signals_of(condition: Condition) -> tuple[str, ...]:
    """The signals that a step of the condition waits for."""
    if condition.derived is not None:
        return (str(condition.temperature), str(condition.humidity))
    return (str(condition.signal),)


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
        step_ms: Begin of the step being filled, None before the first sample.
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
        self._signals = frozenset(signals_of(condition))

    def take(self, signal: str, sample: Sample) -> list[Step]:
        """Steps that this sample completes, oldest first; at most the previous and the current one.

        Samples of other signals move time on too: a step whose signals are all overdue completes
        with the next sample of anything, dated at its own end.
        """
        steps = self.advance(sample.at_ms)
        state = self.state
        if signal not in self._signals or sample.value is None:
            return steps
        begins = self._step_of(sample.at_ms)
        latest = state.latest.get(signal)
        if latest is None or latest.at_ms <= sample.at_ms:
            state.latest[signal] = sample
        state.step_ms = begins if state.step_ms is None else max(begins, state.step_ms)
        if state.completed_ms != begins and self._full(begins):
            steps.append(self._complete(begins, sample.at_ms))
        return steps

    def advance(self, now_ms: int) -> list[Step]:
        """The steps that ended before `now_ms` without being full: their signals are overdue."""
        state = self.state
        current = self._step_of(now_ms)
        if state.step_ms is None or current <= state.step_ms:
            return []
        ended, state.step_ms = state.step_ms, current
        steps = []
        if state.completed_ms != ended:
            steps.append(self._complete(ended, ended + self._step_ms))
        return steps + self._silent(ended + self._step_ms, current)

    def _silent(self, first_ms: int, current_ms: int) -> list[Step]:
        """Steps between two samples, up to the first one without a value: the rest are as it is."""
        steps = []
        for begins in range(first_ms, current_ms, self._step_ms):
            steps.append(self._complete(begins, begins + self._step_ms))
            if steps[-1].value is None:
                break
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
        step_ms, delta = self._step_ms, delta_ms
        completed = None if old.completed_ms is None else old.completed_ms + step_ms - 1 + delta
        since = old.beyond_since_ms
        latest = {name: Sample(s.at_ms + delta, s.value) for name, s in old.latest.items()}
        self.state = EvaluatorState(
            latest=latest,
            step_ms=max((self._step_of(s.at_ms) for s in latest.values()), default=None),
            completed_ms=None if completed is None else self._step_of(completed),
            holds=old.holds,
            beyond_since_ms=None if since is None else since + delta,
        )

    @property
    def _step_ms(self) -> int:
        return self.condition.step_s * 1000

    def _step_of(self, at_ms: int) -> int:
        return at_ms - at_ms % self._step_ms

    def _full(self, begins_ms: int) -> bool:
        latest = self.state.latest
        return all(s in latest and latest[s].at_ms >= begins_ms for s in self._signals)

    def _complete(self, begins_ms: int, at_ms: int) -> Step:
        state = self.state
        value = self._value(at_ms)
        held = state.holds
        if value is not None:
            self._judge(value, at_ms)
        state.completed_ms = begins_ms
        return Step(begins_ms, at_ms, value, state.holds, state.holds != held)

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
        values = [self._fresh(signal, at_ms) for signal in signals_of(self.condition)]
        if any(v is None for v in values):
            return None
        if self.condition.derived is Derived.DEW_POINT_MARGIN:
            return _dew_point_margin(*(v for v in values if v is not None))
        return values[0]

    def _fresh(self, signal: str, at_ms: int) -> float | None:
        sample = self.state.latest.get(signal)
        if sample is None or at_ms - sample.at_ms > self.condition.max_age_s * 1000:
            return None
        return sample.value


def _dew_point_margin(temperature_c: float, humidity_pct: float) -> float | None:
    if humidity_pct <= 0:
        return None
    return temperature_c - dew_point_c(temperature_c, humidity_pct)


def load_conditions(tables: object, where: str) -> tuple[Condition, ...]:
    """The conditions of a configuration.

    Args:
        tables: The parsed list of `[[condition]]` tables.
        where: File named in errors.

    Raises:
        ConfigError: A declaration is wrong; the text names it, the key and what was expected.
    """
    if not isinstance(tables, list):
        raise ConfigError(f"{where}: condition: expected [[condition]] tables")
    conditions: dict[str, Condition] = {}
    for index, table in enumerate(tables):
        name = table.get("id", index + 1) if isinstance(table, Mapping) else index + 1
        place = f"{where}: [[condition]] {name}"
        try:
            condition = build(Condition, table, place)
        except ContractError as error:
            raise ConfigError(str(error).removeprefix("bad_field: ")) from error
        _check(condition, place)
        if condition.id in conditions:
            raise ConfigError(f"{place}: id: declared twice")
        conditions[condition.id] = condition
    return tuple(conditions.values())


def _check(condition: Condition, place: str) -> None:
    if condition.derived is None:
        if condition.signal is None:
            raise ConfigError(f"{place}: expected signal, or derived with temperature and humidity")
        facts = QUANTITY_FACTS[Quantity(condition.signal.split("/")[1])]
        if not facts.low <= condition.limit <= facts.high:
            raise ConfigError(
                f"{place}: limit: expected {facts.low:g} to {facts.high:g} {facts.unit}, "
                f"found {condition.limit:g}"
            )
        return
    pair = (condition.temperature or "", condition.humidity or "")
    if not pair[0].endswith("/temperature") or not pair[1].endswith("/humidity"):
        raise ConfigError(
            f"{place}: derived: expected temperature = <sensor>/temperature and "
            "humidity = <sensor>/humidity beside it"
        )
