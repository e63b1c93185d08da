"""Finds temperature and humidity of one instant that air cannot have together.

Each value alone may be within its range. A chip that answers with zeros gives 0 % at -40 or -45 °C,
one that answers with ones gives 100 % at 125 or 130 °C. So the rule is physical and general.
"""

import numpy as np

from cloud.quality.past import Series
from cloud.quality.spans import Found
from models.derived import dew_point_c

__all__ = ["implausible"]

# Frozen air over ice has at least tens of per cent; a drier reading below freezing is a fault.
DRY_PCT = 1.0
COLD_C = 0.0
# The highest dew point ever observed outdoors is 35 °C (Dhahran 2003, WMO archive of extremes
# candidates). Steam baths reach about 48 °C.
HIGHEST_DEW_POINT_C = 60.0


def implausible(temperature: Series, humidity: Series) -> tuple[Found, Found]:
    """Return the implausible readings of both series of one sensor.

    Readings are compared where both have the same instant. The figure is the humidity, %.
    """
    founds = [Found(np.full(len(s), np.nan), s.at_ms) for s in (temperature, humidity)]
    _, warm, damp = np.intersect1d(
        temperature.at_ms, humidity.at_ms, assume_unique=True, return_indices=True
    )
    temperature_c, humidity_pct = temperature.values[warm], humidity.values[damp]
    dry = (humidity_pct < DRY_PCT) & (temperature_c < COLD_C)
    dew_c = dew_point_c(np.maximum(temperature_c, COLD_C), np.maximum(humidity_pct, DRY_PCT), np)
    steam = (temperature_c > HIGHEST_DEW_POINT_C) & (dew_c > HIGHEST_DEW_POINT_C)
    unfit = dry | steam
    for found, rows in zip(founds, (warm, damp), strict=True):
        found.figure[rows[unfit]] = humidity_pct[unfit]
    return founds[0], founds[1]
