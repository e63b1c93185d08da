"""Features: known values only, never the future, by hand where a hand can."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.quantities import Quantity
from contract.signals import Signal
from models.conditions import MODEL_INPUTS, load_conditions
from models.derived import Derived, dew_point_c
from models.features import BASELINE_NAMES, FEATURE_NAMES, LAGS, features, windows
from models.replay import Readings

HOUR = 3_600_000
NOON = 12 * HOUR + 86_400_000 * 1000


def condition(**keys):
    table = {
        "id": "dew",
        "derived": "dew_point_margin",
        "temperature": "air/temperature",
        "humidity": "air/humidity",
        "pressure": "roof/pressure",
        "comparison": "below",
        "limit": 3.0,
        "step_s": 3600,
        "max_age_s": 7200,
        **keys,
    }
    return load_conditions([table], "x")[0]


def readings(rows):
    ordered = sorted(rows, key=lambda row: row[1])
    names, at_ms, values = zip(*ordered, strict=True)
    signals = [Signal.parse(name) for name in names]
    return Readings.of_rows(signals, np.array(at_ms, np.int64), np.array(values, np.float64))


def day(temperature=lambda _: 20.0, humidity=lambda _: 50.0, pressure=lambda _: 101_300.0):
    made = {"air/temperature": temperature, "air/humidity": humidity, "roof/pressure": pressure}
    return readings(
        [(s, NOON - lag * HOUR, value(lag)) for s, value in made.items() for lag in range(30)]
    )


def at(table, declared=None, instant=NOON):
    instants = np.array([instant], np.int64)
    declared = declared or condition()
    return features(windows(table, instants, declared), instants, declared)


def named(table, declared=None):
    made = at(table, declared)
    assert made.usable.tolist() == [True]
    return dict(zip(FEATURE_NAMES, made.values[0].tolist(), strict=True))


def test_every_column_has_a_name_and_the_baseline_comes_first():
    assert at(day()).values.shape == (1, len(FEATURE_NAMES))
    assert FEATURE_NAMES[: len(BASELINE_NAMES)] == BASELINE_NAMES
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)


def test_by_hand():
    table = named(
        day(temperature=lambda lag: 20.0 - lag, pressure=lambda lag: 101_300.0 + 50 * lag)
    )
    dew = [dew_point_c(20.0 - lag, 50.0) for lag in range(25)]
    margin = 20.0 - dew[0]
    assert table["distance"] == pytest.approx(3.0 - margin)
    assert table["distance_above_-10"] == pytest.approx(max(0.0, 13.0 - margin))
    assert table["distance_above_-2"] == 0.0
    assert table["hour_sin_1"] == pytest.approx(0.0, abs=1e-12)
    assert table["hour_cos_1"] == pytest.approx(-1.0)
    assert table["temperature_change_3h"] == pytest.approx(3.0)
    assert table["temperature_deviation_24h"] == pytest.approx(11.5)
    assert table["temperature_yesterday_at_target"] == pytest.approx(-18.0)  # 6 h on, a day ago
    assert table["temperature_spread_6h"] == pytest.approx(np.std(range(6), ddof=1))
    assert table["dew_point_change_1h"] == pytest.approx(dew[0] - dew[1])
    assert table["dew_point_against_yesterday"] == pytest.approx(dew[0] - 2.0)
    assert table["dew_point_against_coldest_24h"] == pytest.approx(dew[0] + 3.0)
    assert table["pressure_change_3h"] == pytest.approx(-1.5)  # hPa
    assert table["pressure_missing"] == 0.0


def test_a_plain_condition_measures_its_own_distance():
    frost = condition(
        id="frost",
        derived=None,
        signal="air/temperature",
        temperature=None,
        limit=0.0,
    )
    assert named(day(), frost)["distance"] == pytest.approx(-20.0)
    damp = condition(
        id="damp",
        derived=None,
        signal="air/humidity",
        humidity=None,
        comparison="above",
        limit=75.0,
    )
    assert named(day(), damp)["distance"] == pytest.approx(-25.0)


MOIST = ("humidity", "dew_point", "margin")


def test_a_condition_of_temperature_alone_has_usable_windows():
    """A cooler has no humidity sensor: its columns are 0, and all others are the same."""
    keys = {"id": "frost", "derived": None, "signal": "air/temperature", "limit": 0.0}
    both = named(day(lambda lag: 3.0 - lag), condition(temperature=None, **keys))
    rows = [row for row in rows_of(day(lambda lag: 3.0 - lag)) if row[0] == "air/temperature"]
    alone = named(readings(rows), condition(temperature=None, humidity=None, pressure=None, **keys))
    for name, value in alone.items():
        if name.startswith(MOIST):
            assert value == 0.0, name
        elif not name.startswith("pressure"):
            assert value == both[name], name
    assert alone["pressure_missing"] == 1.0


def test_a_condition_of_humidity_alone_has_usable_windows():
    keys = {"id": "damp", "derived": None, "signal": "air/humidity", "comparison": "above"}
    rows = [row for row in rows_of(day(humidity=lambda lag: 70.0 - lag)) if "humidity" in row[0]]
    found = named(readings(rows), condition(temperature=None, humidity=None, limit=75.0, **keys))
    assert (found["distance"], found["humidity_change_3h"]) == (-5.0, 3.0)
    others = ("temperature", "dew_point", "margin")
    assert {value for name, value in found.items() if name.startswith(others)} == {0.0}


@pytest.mark.parametrize("missing", ["air/humidity", "air/temperature"])
def test_a_declared_signal_without_values_still_forbids_a_forecast(missing):
    rows = [row for row in rows_of(day()) if row[0] != missing]
    damp = condition(derived=None, signal="air/humidity", humidity=None, limit=75.0)
    frost = condition(derived=None, signal="air/temperature", temperature=None, limit=0.0)
    assert not at(readings(rows), damp).usable[0]
    assert not at(readings(rows), frost).usable[0]


@pytest.mark.parametrize("quantity", [q for q in Quantity if q not in MODEL_INPUTS])
def test_no_forecast_of_what_models_do_not_look_at(quantity):
    """Pressure, or any other input, must not take the place of the signal."""
    limit = (quantity.facts.low + quantity.facts.high) / 2
    other = condition(derived=None, signal=f"air/{quantity}", limit=limit)
    made = at(day(), other)
    assert not made.usable[0]
    assert np.isnan(made.values[0, FEATURE_NAMES.index("distance")])


@pytest.mark.parametrize("derived", list(Derived))
def test_a_derived_condition_measures_the_derived_signal(derived):
    condition_of = condition(derived=derived.value, limit=1.0, comparison="above")
    expected = derived.facts.value(20.0, 50.0) - 1.0
    assert named(day(), condition_of)["distance"] == pytest.approx(expected)


def test_missing_pressure_is_said_not_invented():
    table = readings(
        [row for row in rows_of(day()) if row[0] != "roof/pressure"],
    )
    found = named(table)
    assert (found["pressure_change_3h"], found["pressure_missing"]) == (0.0, 1.0)


def rows_of(table):
    names = [str(table.signals[code]) for code in table.codes]
    return list(zip(names, table.at_ms.tolist(), table.values.tolist(), strict=True))


def test_no_forecast_without_a_value_that_is_young_enough():
    without = [r for r in rows_of(day()) if not (r[0] == "air/humidity" and NOON - r[1] < 4 * HOUR)]
    assert not at(readings(without)).usable[0]
    kept = [r for r in rows_of(day()) if not (r[0] == "air/humidity" and NOON - r[1] < 3 * HOUR)]
    assert at(readings(kept)).usable[0]  # the last value counts for three hours


def test_no_forecast_where_the_air_holds_no_water():
    assert not at(day(humidity=lambda lag: 0.0 if lag == 2 else 50.0)).usable[0]


samples = st.lists(
    st.tuples(
        st.sampled_from(["air/temperature", "air/humidity", "roof/pressure"]),
        st.integers(NOON - 30 * HOUR, NOON + 30 * HOUR),
        st.one_of(st.just(float("nan")), st.floats(1, 90)),
    ),
    min_size=1,
    max_size=120,
)


@given(samples, st.integers(NOON - 2 * HOUR, NOON + 2 * HOUR))
def test_the_future_changes_nothing(rows, instant):
    table = readings(rows)
    past = readings([row for row in rows if row[1] <= instant] or [("air/humidity", 0, 50.0)])
    instants = np.array([instant], np.int64)
    whole, known = (windows(t, instants, condition()) for t in (table, past))
    np.testing.assert_array_equal(whole, known)
    np.testing.assert_array_equal(
        features(whole, instants, condition()).values, features(known, instants, condition()).values
    )


@given(samples)
def test_the_grid_is_what_was_known_then(rows):
    table, instants = readings(rows), np.array([NOON, NOON + HOUR], np.int64)
    grid = windows(table, instants, condition())
    assert grid.shape == (2, 3, LAGS)
    for row, instant in enumerate(instants.tolist()):
        for lag in (0, 1, 24):
            for index, (signal, hours) in enumerate(
                (("air/temperature", 3), ("air/humidity", 3), ("roof/pressure", 12))
            ):
                expected = _known(rows_of(table), signal, instant, lag, hours * HOUR)
                found = grid[row, index, lag]
                assert np.isnan(found) if expected is None else found == expected


def _known(rows, signal, instant, lag, max_age_ms):
    """The same in the words of the definition: slot by slot, sample by sample."""
    seen = [(t, v) for s, t, v in rows if s == signal and t <= instant and not np.isnan(v)]
    slots = {t // 600_000: (t, v) for t, v in seen}  # the last of a slot stands for it
    before = [(t, v) for t, v in slots.values() if t <= instant - lag * HOUR]
    if not before or instant - lag * HOUR - before[-1][0] > max_age_ms:
        return None
    return before[-1][1]


def test_many_windows_are_one_by_one_the_same():
    rng = np.random.default_rng(7)
    table = day(temperature=lambda _: float(rng.normal(15, 5)), humidity=lambda lag: 40.0 + lag)
    instants = NOON - np.arange(0, 5) * 1_111_111
    whole = features(windows(table, instants, condition()), instants, condition())
    for row, instant in enumerate(instants.tolist()):
        np.testing.assert_array_equal(whole.values[row], at(table, instant=instant).values[0])
