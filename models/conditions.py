"""Declares conditions: states of the air that the operator wants to be warned about.

A gateway evaluates the declaration as a rule. The cloud evaluates the same declaration over
history, which gives the labels for training and the truth for judging. This module contains the
declaration and its checks; `models.evaluation` evaluates it. Standard library only.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
    "StepStatistic",
    "all_signals",
    "facts_of",
    "forecastable",
    "inputs_of",
    "load_conditions",
    "read_conditions",
    "signals_of",
]

# Inputs of models and of derived signals; each is a key of a declaration. A rule without a model
# may use any other quantity.
MODEL_INPUTS = (Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.PRESSURE)

Seconds = Annotated[int, Between(0, 10**8)]


class Comparison(StrEnum):
    """Says on which side of its limit a condition holds; at the limit itself it does not hold."""

    ABOVE = "above"
    BELOW = "below"


class StepStatistic(StrEnum):
    """Says which statistic of a step's values is compared with the limit."""

    LAST = "last"  # the value that completes the step
    MEAN = "mean"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Holds one declaration.

    Attributes:
        id: Name of the condition, the same on every gateway.
        signal: The measured signal that is compared.
        derived: Instead of `signal`: a signal computed from the signals below.
        temperature: The temperature signal, an input of models and of derived signals.
        humidity: The humidity signal, an input of models and of derived signals.
        pressure: The pressure signal, an input of models.
        comparison: Above or below the limit.
        limit: Limit in the unit of the signal, measured or derived.
        hysteresis: Distance that the signal must move back across the limit until the condition
            becomes false, in the same unit.
        duration_s: Time that the signal must stay beyond the limit until the condition becomes
            true, seconds.
        horizon_s: How far ahead a model forecasts that the condition becomes true, seconds.
        step_s: Length of a step, seconds.
        max_age_s: Largest age of a value that a step may use, seconds.
        warn_at: Probability from which a forecast raises an alert.
        statistic: Statistic of a step's values that is compared with the limit. Without it the
            value that completes the step is compared, which is the same as `last`.
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
    # None and not LAST: a bundle's declaration does not name a key that older programs do not know.
    statistic: StepStatistic | None = None


def signals_of(condition: Condition) -> tuple[Signal, ...]:
    """Returns the signals that the condition needs in each step."""
    if condition.derived is None:
        return () if condition.signal is None else (condition.signal,)
    declared = (_beside(condition, quantity) for quantity in condition.derived.facts.inputs)
    return tuple(signal for signal in declared if signal is not None)


def inputs_of(condition: Condition) -> tuple[Signal | None, ...]:
    """Returns a model's input signals, one for each of `MODEL_INPUTS`; None if not declared."""
    own = condition.signal
    return tuple(
        own if own is not None and own.quantity is quantity else _beside(condition, quantity)
        for quantity in MODEL_INPUTS
    )


def facts_of(condition: Condition) -> Facts:
    """Returns the title and unit of the value that is compared with the limit.

    Raises:
        ValueError: The condition names neither `signal` nor `derived`; `load_conditions` refuses
            such a condition.
    """
    if condition.derived is not None:
        return condition.derived.facts
    if condition.signal is None:
        raise ValueError(f"condition {condition.id} has neither signal nor derived")
    return condition.signal.quantity.facts


def forecastable(condition: Condition) -> bool:
    """Returns whether a model can forecast it: its last value, and signals of `MODEL_INPUTS`."""
    known = all(signal.quantity in MODEL_INPUTS for signal in signals_of(condition))
    return known and condition.statistic is None


def _beside(condition: Condition, quantity: Quantity) -> Signal | None:
    """Returns the signal under the key of this quantity; None if there is no such key."""
    return getattr(condition, quantity.value) if quantity in MODEL_INPUTS else None


def all_signals(conditions: Iterable[Condition]) -> frozenset[Signal]:
    """Returns every signal that one of the conditions or its model needs."""
    named = (s for c in conditions for s in (*signals_of(c), *inputs_of(c)))
    return frozenset(signal for signal in named if signal is not None)


def read_conditions(path: Path) -> tuple[Condition, ...]:
    """Returns the conditions of a file that contains only `[[condition]]` tables.

    Raises:
        ConfigError: The file cannot be read, contains other tables, or a declaration is wrong.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if others := sorted(set(table) - {"condition"}):
        raise ConfigError(
            f"{path}: {others[0]}: only [[condition]] tables are allowed here; remove this key"
        )
    return load_conditions(table.get("condition", []), str(path))


def load_conditions(tables: object, where: str) -> tuple[Condition, ...]:
    """Returns the conditions of a configuration.

    Args:
        tables: The parsed list of `[[condition]]` tables.
        where: File name for error messages.

    Raises:
        ConfigError: A declaration is wrong; the text names condition, key and expected value.
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
        if condition.statistic is StepStatistic.LAST:
            condition = replace(condition, statistic=None)
        if condition.id in conditions:
            raise ConfigError(f"{place}: id: another condition has this id; choose a unique one")
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
        raise ConfigError(f"{place}: derived: the keys {needed} are also needed")
    if condition.signal is not None:
        raise ConfigError(f"{place}: signal: not allowed together with derived; remove one")


def _check_plain(condition: Condition, place: str) -> None:
    if condition.signal is None:
        raise ConfigError(
            f"{place}: set signal, or set derived together with temperature and humidity"
        )
    quantity = condition.signal.quantity
    beside = _beside(condition, quantity)
    if beside not in (None, condition.signal):
        raise ConfigError(
            f"{place}: {quantity}: expected {condition.signal}, the same as signal, "
            f"found {beside}; remove the key"
        )
    facts = quantity.facts
    if not facts.low <= condition.limit <= facts.high:
        raise ConfigError(
            f"{place}: limit: expected {facts.low:g} to {facts.high:g} {facts.unit}, "
            f"found {condition.limit:g}"
        )
