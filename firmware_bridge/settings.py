"""Checks a driver's configuration values; each error names driver, key and expected value."""

import math
from collections.abc import Collection, Sequence

from contract.errors import ConfigError
from contract.quantities import Quantity

__all__ = [
    "require_flag",
    "require_one_of",
    "require_quantities",
    "require_whole",
    "require_within",
]


def require_whole(driver: str, key: str, value: object, low: int, high: int) -> None:
    """Refuse a value that is not a whole number from `low` to `high`."""
    # A bool is an int in Python, but `bus = true` is a mistake.
    if type(value) is not int or not low <= value <= high:
        raise ConfigError(
            f"{driver}: {key}: expected a whole number {low} to {high}, found {value!r}"
        )


def require_flag(driver: str, key: str, value: object) -> None:
    """Refuse a value that is neither true nor false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{driver}: {key}: expected true or false, found {value!r}")


def require_within(driver: str, key: str, value: float, low: float, high: float) -> None:
    """Refuse a value that is not a finite number from `low` to `high`."""
    if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
        raise ConfigError(f"{driver}: {key}: expected {low:g} to {high:g}, found {value!r}")


def require_one_of(driver: str, key: str, value: object, allowed: Collection[object]) -> None:
    """Refuse a value that is not in `allowed`."""
    if isinstance(value, bool) or value not in allowed:
        names = ", ".join(str(item) for item in allowed)
        raise ConfigError(f"{driver}: {key}: expected one of {names}, found {value!r}")


def require_quantities(driver: str, wanted: object, offered: Sequence[Quantity]) -> None:
    """Refuse an empty list, a repeated quantity, and one that the chip does not measure."""
    known = ", ".join(offered)
    if not isinstance(wanted, tuple) or not wanted or len(set(wanted)) != len(wanted):
        raise ConfigError(
            f"{driver}: quantities: expected some of {known}, each once; found {wanted!r}"
        )
    for quantity in wanted:
        if quantity not in offered or not isinstance(quantity, Quantity):
            raise ConfigError(
                f"{driver}: quantities: the chip does not measure {quantity!r}; known: {known}"
            )
