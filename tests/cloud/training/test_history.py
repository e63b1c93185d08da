"""History: one row a step, the same as replay and features say, nothing from the future."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.training.history import GRID_EVERY, HISTORY_SCHEMA, History, device_history
from contract.signals import Signal
from models.conditions import load_conditions
from models.features import FEATURE_NAMES, LAGS, features, windows
from models.replay import Readings, intervals, onsets, replay

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1000 * DAY


def declared(**keys):
    table = {
        "id": "damp",
        "signal": "air/humidity",
        "temperature": "air/temperature",
        "pressure": "roof/pressure",
        "comparison": "above",
        "limit": 70.0,
        "step_s": 3600,
        "max_age_s": 7200,
        "horizon_s": 6 * 3600,
        **keys,
    }
    return load_conditions([table], "here")[0]


def made(hours, seed=11, drop=0.0):
    """Hourly weather; a share of samples is missing, another has no fit value."""
    draw = np.random.default_rng(seed)
    signals, at_ms, values = [], [], []
    for hour in range(hours):
        wave = np.sin(2 * np.pi * hour / 24)
        for signal, value in (
            ("air/temperature", 15 + 5 * wave + draw.normal()),
            ("air/humidity", np.clip(62 - 12 * wave + draw.normal(0, 5), 1, 100)),
            ("roof/pressure", 101_000 + draw.normal(0, 100)),
        ):
            fate = draw.random()
            if fate < drop:
                continue
            signals.append(Signal.parse(signal))
            at_ms.append(START + hour * HOUR)
            values.append(np.nan if fate < 1.5 * drop else value)
    return Readings.of_rows(signals, np.array(at_ms, np.int64), np.array(values))


def until(readings, last_ms):
    return readings.rows(readings.at_ms <= last_ms)


def test_each_row_is_a_step_with_its_label_and_features():
    condition, readings = declared(), made(400, drop=0.1)
    table = device_history("gw-1", readings, (condition,))
    assert table.schema == HISTORY_SCHEMA
    history, steps = History.of(table, "damp"), replay(condition, readings)
    assert set(history.devices) == {"gw-1"}
    for name in ("begins_ms", "at_ms", "values", "holds", "changed", "full"):
        np.testing.assert_array_equal(getattr(history, name), getattr(steps, name), name)
    np.testing.assert_array_equal(history.labels, onsets(steps, condition))
    grids = windows(readings, steps.at_ms, condition)
    expected = features(grids, steps.at_ms, condition)
    np.testing.assert_array_equal(history.features, expected.values)
    np.testing.assert_array_equal(history.usable, expected.usable)
    kept = np.arange(len(steps)) % GRID_EVERY == 0
    np.testing.assert_array_equal(history.grids[kept].reshape(-1, 3, LAGS), grids[kept])
    assert np.isnan(history.grids[~kept]).all()
    # it was worth looking: both labels, unknown ones, unusable windows, half a step
    assert {0.0, 1.0} <= set(history.labels[~np.isnan(history.labels)])
    assert np.isnan(history.labels).any()
    assert not history.usable.all()
    assert not history.full.all()


def test_examples_are_forecasts_whose_truth_is_known():
    history = History.of(device_history("gw-1", made(600, drop=0.1), (declared(),)), "damp")
    examples = history.examples
    assert 0 < len(examples) < len(history)
    assert np.isfinite(examples.features).all()
    chosen = set(examples.begins_ms.tolist())
    for begins, full, holds, usable, label in zip(
        *(getattr(history, n) for n in ("begins_ms", "full", "holds", "usable", "labels")),
        strict=True,
    ):
        wanted = full and not holds and usable and not np.isnan(label)
        assert (int(begins) in chosen) == wanted


def test_devices_and_conditions_stay_apart():
    conditions = (declared(), declared(id="wet", limit=60.0))
    seeds = {"gw-2": 3, "gw-1": 4}
    tables = [device_history(name, made(200, seed), conditions) for name, seed in seeds.items()]
    shuffled = pa.concat_tables(tables)
    shuffled = shuffled.take(np.random.default_rng(1).permutation(len(shuffled)))
    for condition in conditions:
        history = History.of(shuffled, condition.id)
        found = dict(history.by_device())
        assert list(found) == ["gw-1", "gw-2"]
        for name, own in found.items():
            alone = History.of(
                device_history(name, made(200, seeds[name]), (condition,)), condition.id
            )
            np.testing.assert_array_equal(own.begins_ms, alone.begins_ms)
            np.testing.assert_array_equal(own.features, alone.features)
            np.testing.assert_array_equal(own.labels, alone.labels)


def test_truth_is_what_replay_says():
    tables, expected = [], []
    for name, seed in (("gw-1", 3), ("gw-2", 4)):
        readings = made(500, seed, drop=0.15)
        tables.append(device_history(name, readings, (declared(),)))
        expected += [(name, i) for i in intervals(replay(declared(), readings))]
    assert History.of(pa.concat_tables(tables), "damp").truth() == expected
    assert len(expected) > 10


def test_nothing_is_history_too():
    empty = History.of(HISTORY_SCHEMA.empty_table(), "damp")
    assert len(empty) == len(empty.examples) == 0
    assert empty.features.shape == (0, len(FEATURE_NAMES))
    assert empty.grids.shape == (0, 3 * LAGS)
    assert empty.truth() == []
    nobody = Readings.of_rows([], np.empty(0, np.int64), np.empty(0))
    assert device_history("gw-1", nobody, (declared(),)).num_rows == 0
    assert device_history("gw-1", made(10), ()).schema == HISTORY_SCHEMA


# no future


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(30, 119), st.floats(0, 0.3))
def test_what_comes_later_changes_no_features_and_labels_beyond_the_horizon(seed, hour, drop):
    """Features at t are those of readings that end at t; labels need t to t + horizon alone."""
    condition, readings = declared(), made(120, seed, drop)
    whole = History.of(device_history("gw-1", readings, (condition,)), "damp")
    last = START + hour * HOUR
    past = History.of(device_history("gw-1", until(readings, last), (condition,)), "damp")
    known = np.arange(len(past))
    np.testing.assert_array_equal(past.at_ms, whole.at_ms[known])
    # a step that nothing completed ends when a later reading says so; nobody forecasts at it
    assert not (whole.full & (whole.at_ms <= last))[len(past) :].any()
    np.testing.assert_array_equal(past.features, whole.features[known])
    np.testing.assert_array_equal(past.usable, whole.usable[known])
    np.testing.assert_array_equal(past.holds, whole.holds[known])
    labels = whole.labels[known]
    np.testing.assert_array_equal(
        past.labels[~np.isnan(past.labels)], labels[~np.isnan(past.labels)]
    )
    # what is over by then is decided: its last step has completed
    over = past.begins_ms + condition.horizon_s * 1000 <= past.begins_ms.max(initial=0)
    np.testing.assert_array_equal(past.labels[over], labels[over])
    assert np.isnan(past.labels[~over]).all()


def test_a_leak_would_be_seen():
    """The law above can fail: a feature that reads one hour ahead is not what it was at t."""
    condition, readings = declared(), made(120)
    at_ms = np.array([START + 60 * HOUR], np.int64)
    leaking = at_ms + HOUR
    one, two = (
        features(windows(r, leaking, condition), at_ms, condition).values
        for r in (readings, until(readings, int(at_ms[0])))
    )
    assert not np.array_equal(one, two)


# the real year


def test_the_real_year(recording, recorded_history, demo_conditions):
    for condition in demo_conditions:
        history = recorded_history(condition.id)
        assert [name for name, _ in history.by_device()] == sorted(recording)
        expected = [
            (name, i)
            for name, readings in sorted(recording.items())
            for i in intervals(replay(condition, readings))
        ]
        assert history.truth() == expected
        assert len(expected) > 50
        examples = history.examples
        # a gap takes a day of windows; most of the year is still there
        assert 0.5 < len(examples) / len(history) < 1.0
        print(f"{condition.id}: {len(examples)} windows, {examples.labels.mean():.3f} onsets")


# Onset rates of an independent script over the same recording (6 h ahead): 0.148, 0.200, 0.033.
@pytest.mark.parametrize(
    ("name", "rate"), [("condensation", 0.148), ("damp", 0.200), ("frost", 0.033)]
)
def test_onsets_are_as_frequent_as_elsewhere(recorded_history, name, rate):
    assert recorded_history(name).examples.labels.mean() == pytest.approx(rate, abs=0.012)


@pytest.mark.parametrize("month", [3, 8])
def test_the_real_year_cut_off_says_the_same_up_to_then(recording, demo_conditions, month):
    readings, condition = recording["jfk"], demo_conditions[0]
    last = int(readings.at_ms[0]) + month * 30 * DAY
    whole, past = (
        History.of(device_history("jfk", r, (condition,)), condition.id)
        for r in (readings, until(readings, last))
    )
    known = whole.at_ms <= last
    np.testing.assert_array_equal(past.features, whole.features[known])
    decided = ~np.isnan(past.labels)
    np.testing.assert_array_equal(past.labels[decided], whole.labels[known][decided])
    assert decided.sum() > 0.9 * np.isfinite(whole.labels[known]).sum()
