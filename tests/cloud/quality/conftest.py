"""Series of made sensors, and the real year."""

import numpy as np
import pytest

from bench.recordings import weather
from cloud.quality.past import Series
from contract.quantities import Quantity

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR = 3_600_000


def _made(days=60, seed=1, quantity=Quantity.TEMPERATURE, step_ms=HOUR, resolution=0.01):
    """Days with a daily wave and noise of a fifth of a unit, rounded to a resolution."""
    draw = np.random.default_rng(seed)
    count = days * 24 * HOUR // step_ms
    at_ms = NEW_YEAR + np.arange(count, dtype=np.int64) * step_ms
    wave = 3 * np.sin(2 * np.pi * at_ms / (24 * HOUR))
    level = {Quantity.TEMPERATURE: 15.0, Quantity.HUMIDITY: 60.0, Quantity.PRESSURE: 101_300.0}
    values = level[quantity] + wave + draw.normal(0, 0.2, count)
    return Series(quantity, at_ms, np.round(values / resolution) * resolution)


@pytest.fixture(scope="session")
def made():
    """`made(days, seed, quantity, step_ms, resolution)`."""
    return _made


@pytest.fixture(scope="session")
def year():
    """A real year of three stations."""
    return weather()
