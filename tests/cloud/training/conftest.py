"""History for training tests: the real recording, and rows that a test makes up."""

import numpy as np
import pyarrow as pa
import pytest

from cloud.training.history import History, device_history
from contract.signals import Signal
from deploy.local.weather import STATIONS, station_rows
from models.conditions import read_conditions
from models.features import FEATURE_NAMES, LAGS
from models.replay import Readings

HOUR = 3_600_000
SIGNALS = (("air/temperature", 2), ("air/humidity", 1), ("barometer/pressure", 0))


def _recorded(station):
    signals, at_ms, values = [], [], []
    for at, *texts in station_rows(station):
        for (signal, decimals), text in zip(SIGNALS, texts, strict=True):
            signals.append(Signal.parse(signal))
            at_ms.append(at)
            values.append(round(float(text), decimals) if text else np.nan)
    return Readings.of_rows(signals, np.array(at_ms, np.int64), np.array(values, np.float64))


@pytest.fixture(scope="session")
def demo_conditions(pytestconfig):
    """The demo's: dew-point margin below 3 K, humidity above 75 %, frost; each 6 h ahead."""
    return read_conditions(pytestconfig.rootpath / "deploy" / "local" / "conditions.toml")


@pytest.fixture(scope="session")
def recording():
    """A real year: each station's readings, with the places where something is missing."""
    return {station: _recorded(station) for station in STATIONS}


@pytest.fixture(scope="session")
def recorded_table(recording, demo_conditions):
    """History of the real year, all stations and conditions."""
    return pa.concat_tables(
        [device_history(name, readings, demo_conditions) for name, readings in recording.items()]
    )


@pytest.fixture(scope="session")
def recorded_history(recorded_table):
    """`recorded_history(condition_id)`."""
    return lambda condition_id: History.of(recorded_table, condition_id)


def _plain(begins_ms, labels, features=(), device="gw-1"):
    """Forecastable steps with given labels; the first columns of features may be given."""
    count = len(begins_ms)
    rows = np.zeros((count, len(FEATURE_NAMES)))
    for column, values in enumerate(features):
        rows[:, column] = values
    yes, no = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    begins = np.array(begins_ms, np.int64)
    return History(
        devices=np.array([device] * count, np.object_),
        begins_ms=begins,
        at_ms=begins,
        values=np.full(count, 60.0),
        holds=no,
        changed=no,
        full=yes,
        usable=yes,
        labels=np.array(labels, np.float64),
        masked=no,
        fit=yes,
        features=rows,
        grids=np.full((count, 3 * LAGS), np.nan),
    )


@pytest.fixture(scope="session")
def plain_history():
    """`plain_history(begins_ms, labels, features)`: steps of one device, nothing derived."""
    return _plain
