"""Converts units of other systems to the one unit of each quantity.

Each unit is a factor and an offset: value x factor + offset. Factors of pressure units are those of
NIST SP 811, appendix B.8 (conventional mmHg and inHg, psi); those of °F and K are definitions.
"""

from dataclasses import dataclass

from contract.quantities import Quantity

__all__ = ["Conversion", "conversion", "known_units"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """Converts a value: value x `factor` + `offset` is in the quantity's unit."""

    factor: float = 1.0
    offset: float = 0.0


_SAME = Conversion()
_FAHRENHEIT = Conversion(5 / 9, -160 / 9)
_UNITS: dict[Quantity, dict[str, Conversion]] = {
    Quantity.TEMPERATURE: {
        **dict.fromkeys(("cel", "°c", "c", "degc", "celsius"), _SAME),
        **dict.fromkeys(("°f", "f", "degf", "fahrenheit"), _FAHRENHEIT),
        **dict.fromkeys(("k", "kelvin"), Conversion(1.0, -273.15)),
    },
    Quantity.HUMIDITY: {
        # %rF is German for % relative humidity, as on Testo's loggers.
        **dict.fromkeys(("%rh", "%", "% rh", "%rf", "% rf", "%hr", "percent"), _SAME),
        "1": Conversion(100.0),
    },
    Quantity.PRESSURE: {
        "pa": _SAME,
        **dict.fromkeys(("hpa", "mbar", "millibar"), Conversion(100.0)),
        "kpa": Conversion(1_000.0),
        "bar": Conversion(100_000.0),
        "mmhg": Conversion(133.3224),
        "inhg": Conversion(3_386.389),
        "psi": Conversion(6_894.757),
    },
    Quantity.CO2: {"ppm": _SAME, "%": Conversion(10_000.0)},
    Quantity.ILLUMINANCE: {**dict.fromkeys(("lx", "lux"), _SAME), "klx": Conversion(1_000.0)},
    Quantity.VOLTAGE: {**dict.fromkeys(("v", "volt"), _SAME), "mv": Conversion(0.001)},
    Quantity.CONTACT: {"/": _SAME},
}


def conversion(quantity: Quantity, unit: str) -> Conversion | None:
    """Returns how to convert a unit to the quantity's unit; None if the unit is not known.

    Args:
        quantity: The quantity.
        unit: Name or symbol of the unit, upper or lower case; empty for the quantity's own unit.
    """
    return _UNITS[quantity].get(unit.strip().lower()) if unit.strip() else _SAME


def known_units(quantity: Quantity) -> str:
    """Returns the known units of a quantity as a list for messages."""
    return ", ".join(_UNITS[quantity])
