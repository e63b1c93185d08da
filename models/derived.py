"""Computes derived signals from measured signals of the same step; each is one row of a table.

Each formula is used twice: with `math` for one step on the gateway, with numpy for years of
history. Standard library only, unless `values` is called.

Relative humidity refers to water at every temperature, also below freezing, as sensors report it.
The Magnus formula is that of WMO-No. 8, Guide to Instruments and Methods of Observation, annex 4.B,
valid from -45 to 60 degrees Celsius.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self

from contract.quantities import Facts, Quantity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Derived", "DerivedFacts", "dew_point_c"]

_MAGNUS_PA, _MAGNUS_FACTOR, _MAGNUS_C = 611.2, 17.62, 243.12  # over water
_VAPOUR_J_PER_KG_K = 461.52  # gas constant of water vapour
_ZERO_C_K = 273.15


class Mathematics(Protocol):
    """Names the functions that formulas use: those of `math` or, for arrays, of `numpy`."""

    def log(self, value: Any, /) -> Any:
        """Returns the natural logarithm."""

    def exp(self, value: Any, /) -> Any:
        """Returns the power of e."""


def dew_point_c(temperature_c: Any, humidity_pct: Any, using: Mathematics = math) -> Any:
    """Returns the dew point over water, degrees Celsius, by the Magnus formula.

    Args:
        temperature_c: Air temperature, degrees Celsius: a number, or an array with `numpy`.
        humidity_pct: Relative humidity, %, above 0.
        using: `math` or `numpy`.
    """
    gamma = using.log(humidity_pct / 100.0) + _MAGNUS_FACTOR * temperature_c / (
        _MAGNUS_C + temperature_c
    )
    return _MAGNUS_C * gamma / (_MAGNUS_FACTOR - gamma)


def _saturation_pa(using: Mathematics, temperature_c: Any) -> Any:
    """Returns the vapour pressure of saturated air over water, Pa, by the Magnus formula."""
    return _MAGNUS_PA * using.exp(_MAGNUS_FACTOR * temperature_c / (_MAGNUS_C + temperature_c))


def _dew_point_margin(using: Mathematics, temperature_c: Any, humidity_pct: Any) -> Any:
    return temperature_c - dew_point_c(temperature_c, humidity_pct, using)


def _absolute_humidity(using: Mathematics, temperature_c: Any, humidity_pct: Any) -> Any:
    vapour_pa = humidity_pct / 100.0 * _saturation_pa(using, temperature_c)
    return 1000.0 * vapour_pa / (_VAPOUR_J_PER_KG_K * (temperature_c + _ZERO_C_K))


def _vapour_pressure_deficit(using: Mathematics, temperature_c: Any, humidity_pct: Any) -> Any:
    return (1.0 - humidity_pct / 100.0) * _saturation_pa(using, temperature_c) / 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFacts(Facts):
    """Holds the facts of one derived signal.

    Attributes:
        inputs: Input quantities in the order of the formula's arguments.
        positive: Inputs that must be above zero; otherwise there is no value.
        about: Computation and meaning, for the documentation.
        formula: Function `formula(using, *inputs)`.
    """

    inputs: tuple[Quantity, ...]
    positive: tuple[Quantity, ...] = ()
    about: str
    formula: Callable[..., Any]

    def value(self, *inputs: float) -> float | None:
        """Returns the value of one step, or None; arguments are in the order of `inputs`."""
        for quantity, given in zip(self.inputs, inputs, strict=True):
            if quantity in self.positive and given <= 0:
                return None
        return float(self.formula(math, *inputs))

    def values(self, *inputs: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Returns the values for arrays of inputs; NaN where there is no value."""
        import numpy as np  # noqa: PLC0415 - a gateway without models does not load numpy

        fit = [
            np.where(given > 0, given, np.nan) if quantity in self.positive else given
            for quantity, given in zip(self.inputs, inputs, strict=True)
        ]
        found: NDArray[np.float64] = self.formula(np, *fit)
        return found


_AIR = (Quantity.TEMPERATURE, Quantity.HUMIDITY)


class Derived(StrEnum):
    """Names a signal computed from others of the same step; `facts` contain formula and unit."""

    facts: DerivedFacts

    def __new__(cls, value: str, facts: DerivedFacts) -> Self:
        """Returns the member for a row: the name in a declaration, and the facts."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.facts = facts
        return member

    DEW_POINT_MARGIN = (
        "dew_point_margin",
        DerivedFacts(
            title="Dew-point margin",
            shown_unit="K",
            inputs=_AIR,
            positive=(Quantity.HUMIDITY,),
            about="temperature minus dew point; water condenses at 0 K",
            formula=_dew_point_margin,
        ),
    )
    ABSOLUTE_HUMIDITY = (
        "absolute_humidity",
        DerivedFacts(
            title="Absolute humidity",
            shown_unit="g/m³",
            inputs=_AIR,
            about="mass of water vapour in a cubic metre of air",
            formula=_absolute_humidity,
        ),
    )
    VAPOUR_PRESSURE_DEFICIT = (
        "vapour_pressure_deficit",
        DerivedFacts(
            title="Vapour-pressure deficit",
            shown_unit="kPa",
            inputs=_AIR,
            about="vapour pressure that the air lacks to saturation; high values dry out plants",
            formula=_vapour_pressure_deficit,
        ),
    )
