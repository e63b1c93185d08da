"""Derived signals against PsychroLib, over the whole range in which their formula holds.

PsychroLib counts humidity over ice below freezing, sensors and this project over water. Below zero
its answers are asked for at the humidity over ice that is the same vapour pressure, by Murphy and
Koop (2005), "Review of the vapour pressures of ice and supercooled water for atmospheric
applications", Q. J. R. Meteorol. Soc. 131, equation 10.
"""

import math

import numpy as np
import psychrolib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.derived import Derived

PRESSURE_PA = 101_325.0
# of Magnus against PsychroLib: at most 0.3 % from 0 to 60 degrees, 0.8 % down to -45
RELATIVE = {True: 0.003, False: 0.008}


@pytest.fixture(autouse=True, scope="module")
def _si():
    psychrolib.SetUnitSystem(psychrolib.SI)


def over_supercooled_water_pa(temperature_c):
    kelvin = temperature_c + 273.15
    return math.exp(
        54.842763
        - 6763.22 / kelvin
        - 4.210 * math.log(kelvin)
        + 0.000367 * kelvin
        + math.tanh(0.0415 * (kelvin - 218.8))
        * (53.878 - 1331.22 / kelvin - 9.44523 * math.log(kelvin) + 0.014025 * kelvin)
    )


def saturated_pa(temperature_c):
    """Over water at every temperature."""
    if temperature_c < 0.01:  # the triple point
        return over_supercooled_water_pa(temperature_c)
    return psychrolib.GetSatVapPres(temperature_c)


def reference(derived, temperature_c, humidity_pct):
    """What PsychroLib says; None for air that holds more than it believes possible."""
    fraction = humidity_pct / 100
    fraction *= saturated_pa(temperature_c) / psychrolib.GetSatVapPres(temperature_c)
    if not 0 <= fraction <= 1:
        return None
    ratio = psychrolib.GetHumRatioFromRelHum(temperature_c, fraction, PRESSURE_PA)
    if derived is Derived.ABSOLUTE_HUMIDITY:
        kg_per_m3 = psychrolib.GetMoistAirDensity(temperature_c, ratio, PRESSURE_PA)
        return 1000 * kg_per_m3 * ratio / (1 + ratio)
    vapour_pa = psychrolib.GetVapPresFromHumRatio(ratio, PRESSURE_PA)
    return (saturated_pa(temperature_c) - vapour_pa) / 1000


GRID = [(t / 2, h) for t in range(-90, 121) for h in (1, 10, 25, 50, 75, 90, 99, 100)]


@pytest.mark.parametrize("derived", [Derived.ABSOLUTE_HUMIDITY, Derived.VAPOUR_PRESSURE_DEFICIT])
def test_as_psychrolib_says(derived):
    compared = 0
    for temperature_c, humidity_pct in GRID:
        expected = reference(derived, temperature_c, humidity_pct)
        if expected is None:
            continue
        found = derived.facts.value(temperature_c, humidity_pct)
        assert found == pytest.approx(expected, rel=RELATIVE[temperature_c >= 0], abs=1e-6)
        compared += 1
    assert compared > len(GRID) * 0.75  # the rest is more than saturated over ice


def test_the_dew_point_margin_as_psychrolib_says():
    for temperature_c, humidity_pct in GRID:
        dew_c = psychrolib.GetTDewPointFromRelHum(temperature_c, humidity_pct / 100)
        if dew_c > 0.01:  # below, it means the frost point
            found = Derived.DEW_POINT_MARGIN.facts.value(temperature_c, humidity_pct)
            assert found == pytest.approx(temperature_c - dew_c, abs=0.1)


def test_by_hand():
    # saturated air of 20 degrees holds 17.3 g/m³ (WMO tables: 17.3)
    assert Derived.ABSOLUTE_HUMIDITY.facts.value(20.0, 100.0) == pytest.approx(17.3, abs=0.1)
    # 6.112 hPa * exp(17.62 * 25 / 268.12) = 31.6 hPa, of which half is missing
    assert Derived.VAPOUR_PRESSURE_DEFICIT.facts.value(25.0, 50.0) == pytest.approx(1.58, abs=0.01)


@pytest.mark.parametrize("derived", list(Derived))
@given(st.floats(-45, 60), st.just(0.0) | st.floats(1e-9, 100))
def test_one_step_and_years_of_them_are_computed_alike(derived, temperature_c, humidity_pct):
    one = derived.facts.value(temperature_c, humidity_pct)
    (many,) = derived.facts.values(np.array([temperature_c]), np.array([humidity_pct])).tolist()
    if one is None:
        assert math.isnan(many)
    else:
        assert many == pytest.approx(one, rel=1e-12, abs=1e-12)


def test_without_humidity_there_is_no_dew_point_but_a_deficit():
    assert Derived.DEW_POINT_MARGIN.facts.value(20.0, 0.0) is None
    assert Derived.ABSOLUTE_HUMIDITY.facts.value(20.0, 0.0) == 0.0
    assert Derived.VAPOUR_PRESSURE_DEFICIT.facts.value(20.0, 0.0) > 2.3
