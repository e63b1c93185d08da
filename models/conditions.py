"""Conditions: what a person wants to be warned of, declared once.

The same declaration is the rule that a gateway evaluates now and, replayed over history, the label
a model is trained for and the truth it is judged by. This module owns the declaration and its
checks; `models.evaluation` evaluates it. Standard library only.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from contract.errors import ConfigError, ContractError
from contract.quantities import Facts, Quantity
from contract.signals import Signal
from contract.typed import Between, Id, build
from models.derived import Derived

__all__ = [
    "MODEL_INPUTS",
    "Comparison",
    "Condition",
    "all_signals",
    "facts_of",
    "forecastable",
    "inputs_of",
    "load_conditions",
    "read_conditions",
    "signals_of",
]

# What a model looks at, and a derived signal is made from: keys of a declaration. Apart from what
# can be measured: a rule may watch any quantity.
MODEL_INPUTS = (Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.PRESSURE)

Seconds = Annotated[int, Between(0, 10**8)]


class Comparison(StrEnum):
    """On which side of its limit a condition holds; the limit itself is not beyond it."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One declaration.

    Attributes:
        id: Name of the condition, the same on every gateway.
        signal: The measured signal that is compared.
        derived: Instead of `signal`: one that is computed from those below.
        temperature: The temperature signal that a model looks at, and a derived one is made from.
        humidity: The humidity signal, likewise.
        pressure: The pressure signal that a model looks at too.
        comparison: Above or below the limit.
        limit: In the unit of the signal, measured or derived.
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
    signal: Signal | None = None
    derived: Derived | None = None
    temperature: Signal | None = None
    humidity: Signal | None = None
    pressure: Signal | None = None
    hysteresis: Annotated[float, Between(0, 1e6)] = 0.0
    duration_s: Seconds = 0
    horizon_s: Seconds = 21_600
    warn_at: Annotated[float, Between(0, 1)] = 0.5


def signals_of(condition: Condition) -> tuple[Signal, ...]:
    """The signals that a step of the condition waits for."""
    if condition.derived is None:
        return () if condition.signal is None else (condition.signal,)
    declared = (_beside(condition, quantity) for quantity in condition.derived.facts.inputs)
    return tuple(signal for signal in declared if signal is not None)


def inputs_of(condition: Condition) -> tuple[Signal | None, ...]:
    """What a model looks at, one for each of `MODEL_INPUTS`; None where undeclared."""
    own = condition.signal
    return tuple(
        own if own is not None and own.quantity is quantity else _beside(condition, quantity)
        for quantity in MODEL_INPUTS
    )


def facts_of(condition: Condition) -> Facts:
    """Name and unit, for people, of what is compared with the limit.

    Raises:
        ValueError: The condition names neither `signal` nor `derived`; `load_conditions` refuses
            such a one.
    """
    if condition.derived is not None:
        return condition.derived.facts
    if condition.signal is None:
        raise ValueError(f"condition {condition.id} compares nothing")
    return condition.signal.quantity.facts


def forecastable(condition: Condition) -> bool:
    """Whether a model can forecast it: what is compared is made of what models look at."""
    return all(signal.quantity in MODEL_INPUTS for signal in signals_of(condition))


def _beside(condition: Condition, quantity: Quantity) -> Signal | None:
    """The signal under the key of this quantity; None where there is no such key."""
    return getattr(condition, quantity.value) if quantity in MODEL_INPUTS else None


def all_signals(conditions: Iterable[Condition]) -> frozenset[Signal]:
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
    for quantity in MODEL_INPUTS:
        signal = _beside(condition, quantity)
        if signal is not None and signal.quantity is not quantity:
            raise ConfigError(
                f"{place}: {quantity}: expected <sensor id>/{quantity}, found {signal}"
            )
    if condition.derived is None:
        _check_plain(condition, place)
        return
    inputs = condition.derived.facts.inputs
    if any(_beside(condition, quantity) is None for quantity in inputs):
        needed = " and ".join(f"{quantity} = <sensor>/{quantity}" for quantity in inputs)
        raise ConfigError(f"{place}: derived: expected {needed} beside it")
    if condition.signal is not None:
        raise ConfigError(f"{place}: signal: not used by a derived signal; remove it")


def _check_plain(condition: Condition, place: str) -> None:
    if condition.signal is None:
        raise ConfigError(f"{place}: expected signal, or derived with temperature and humidity")
    quantity = condition.signal.quantity
    beside = _beside(condition, quantity)
    if beside not in (None, condition.signal):
        raise ConfigError(f"{place}: {quantity}: the signal is {condition.signal}; remove {beside}")
    facts = quantity.facts
    if not facts.low <= condition.limit <= facts.high:
        raise ConfigError(
            f"{place}: limit: expected {facts.low:g} to {facts.high:g} {facts.unit}, "
            f"found {condition.limit:g}"
        )
