"""Conditions: what a person wants to be warned of, declared once.

The same declaration is the rule that a gateway evaluates now and, replayed over history, the label
a model is trained for and the truth it is judged by. This module owns the declaration and its
checks; `models.evaluation` replays it. Standard library only.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from contract.errors import ConfigError, ContractError
from contract.quantities import Quantity
from contract.typed import Between, Id, Pattern, build

__all__ = [
    "Comparison",
    "Condition",
    "Derived",
    "all_signals",
    "inputs_of",
    "load_conditions",
    "read_conditions",
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
        temperature: The temperature signal that a model looks at, and a derived one is made from.
        humidity: The humidity signal, likewise.
        pressure: The pressure signal that a model looks at too.
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
    pressure: SignalName | None = None
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


def signals_of(condition: Condition) -> tuple[str, ...]:
    """The signals that a step of the condition waits for."""
    if condition.derived is not None:
        return (str(condition.temperature), str(condition.humidity))
    return (str(condition.signal),)


def inputs_of(condition: Condition) -> tuple[str | None, str | None, str | None]:
    """What a model looks at: temperature, humidity and pressure signal, None where undeclared."""
    declared = (condition.temperature, condition.humidity, condition.pressure)
    own = condition.signal
    return tuple(  # type: ignore[return-value]  # one per quantity, in their order
        name if name is not None or own is None or not own.endswith(f"/{quantity}") else own
        for name, quantity in zip(declared, Quantity, strict=True)
    )


def all_signals(conditions: Iterable[Condition]) -> frozenset[str]:
    """Every signal that a step of one of them waits for, or that a model looks at."""
    named = (s for c in conditions for s in (*signals_of(c), *inputs_of(c)))
    return frozenset(signal for signal in named if signal is not None)


def read_conditions(path: Path) -> tuple[Condition, ...]:
    """The conditions of a file that holds nothing but `[[condition]]` tables.

    Raises:
        ConfigError: It cannot be read, holds something else, or a declaration is wrong.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if others := sorted(set(table) - {"condition"}):
        raise ConfigError(f"{path}: {others[0]}: expected [[condition]] tables and nothing else")
    return load_conditions(table.get("condition", []), str(path))


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
    for quantity in Quantity:
        name: str | None = getattr(condition, quantity.value)
        if name is not None and not name.endswith(f"/{quantity}"):
            raise ConfigError(f"{place}: {quantity}: expected <sensor id>/{quantity}, found {name}")
    if condition.derived is None:
        _check_plain(condition, place)
        return
    if condition.temperature is None or condition.humidity is None:
        raise ConfigError(
            f"{place}: derived: expected temperature = <sensor>/temperature and "
            "humidity = <sensor>/humidity beside it"
        )
    if condition.signal is not None:
        raise ConfigError(f"{place}: signal: not used by a derived signal; remove it")


def _check_plain(condition: Condition, place: str) -> None:
    if condition.signal is None:
        raise ConfigError(f"{place}: expected signal, or derived with temperature and humidity")
    quantity = condition.signal.split("/")[1]
    beside: str | None = getattr(condition, quantity)
    if beside not in (None, condition.signal):
        raise ConfigError(f"{place}: {quantity}: the signal is {condition.signal}; remove {beside}")
    facts = next(q for q in Quantity if q == quantity).facts
    if not facts.low <= condition.limit <= facts.high:
        raise ConfigError(
            f"{place}: limit: expected {facts.low:g} to {facts.high:g} {facts.unit}, "
            f"found {condition.limit:g}"
        )
