"""Units: known conversions, by figures from outside the program."""

import pytest

from cloud.importing.units import conversion, known_units
from contract.quantities import Quantity


@pytest.mark.parametrize(
    ("quantity", "unit", "value", "expected"),
    [
        (Quantity.TEMPERATURE, "°F", 32.0, 0.0),  # water freezes
        (Quantity.TEMPERATURE, "F", 212.0, 100.0),  # and boils
        (Quantity.TEMPERATURE, "K", 273.15, 0.0),
        (Quantity.TEMPERATURE, "", 21.5, 21.5),
        (Quantity.HUMIDITY, "%rF", 40.0, 40.0),
        (Quantity.HUMIDITY, "1", 0.4, 40.0),
        (Quantity.PRESSURE, "hPa", 1013.25, 101_325.0),  # the standard atmosphere in every unit
        (Quantity.PRESSURE, "mmHg", 760.0, 101_325.0),
        (Quantity.PRESSURE, "inHg", 29.9213, 101_325.0),
        (Quantity.PRESSURE, "psi", 14.69595, 101_325.0),
        (Quantity.PRESSURE, "kPa", 101.325, 101_325.0),
        (Quantity.VOLTAGE, "mV", 3300.0, 3.3),
        (Quantity.CO2, "%", 0.04, 400.0),
    ],
)
def test_a_value_is_converted(quantity, unit, value, expected):
    found = conversion(quantity, unit)
    assert value * found.factor + found.offset == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_an_unknown_unit_is_none_and_the_known_ones_are_listed():
    assert conversion(Quantity.TEMPERATURE, "furlong") is None
    assert conversion(Quantity.PRESSURE, "%") is None
    assert "hpa" in known_units(Quantity.PRESSURE)


@pytest.mark.parametrize("quantity", Quantity)
def test_the_quantity_s_own_unit_is_known(quantity):
    assert conversion(quantity, quantity.facts.unit) is not None
