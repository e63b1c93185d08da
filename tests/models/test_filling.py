"""A step's statistic: the values, their cover, and the same steps however time is passed on."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ConfigError
from contract.quantities import Quantity
from contract.signals import Signal
from contract.typed import plain
from models.conditions import forecastable, load_conditions
from models.evaluation import Evaluator, Sample
from models.replay import Readings, intervals, replay

MINUTE = 60_000
COLD = Signal("freezer", Quantity.TEMPERATURE)
WARM, DAMP = Signal("air", Quantity.TEMPERATURE), Signal("air", Quantity.HUMIDITY)


def declared(statistic="max", **keys):
    table = {
        "id": "warm",
        "signal": str(COLD),
        "comparison": "above",
        "limit": -18.0,
        "step_s": 600,
        "max_age_s": 300,
        "statistic": statistic,
        **keys,
    }
    return load_conditions([table], "x")[0]


def fed(condition, samples, until_ms=None, signal=COLD):
    """Steps of samples (minute, value), and of time alone up to an instant."""
    evaluator = Evaluator(condition)
    steps = []
    for minute, value in samples:
        steps += evaluator.take(signal, Sample(round(minute * MINUTE), value))
    return steps if until_ms is None else steps + evaluator.advance(until_ms)


MINUTES = [(m, -20.0) for m in range(10)]


@pytest.mark.parametrize(
    ("statistic", "value"), [("max", -10.0), ("min", -22.0), ("mean", (8 * -20 - 10 - 22) / 10)]
)
def test_the_statistic_is_that_of_all_values_of_the_step(statistic, value):
    samples = [*MINUTES[:4], (4, -10.0), (5, -22.0), *MINUTES[6:]]
    (step,) = fed(declared(statistic), samples, 10 * MINUTE)
    assert step.value == pytest.approx(value)
    assert (step.begins_ms, step.at_ms, step.full) == (0, 10 * MINUTE, False)
    assert step.holds == (value > -18)


def test_a_step_completes_when_it_ends_and_not_before():
    assert fed(declared(), MINUTES, 10 * MINUTE - 1) == []
    assert len(fed(declared(), [*MINUTES, (10, -20.0)])) == 1


def test_values_must_cover_half_of_the_step():
    # a value counts for 5 minutes: these cover 5 + 1 minutes, and 4
    assert len(fed(declared(), [(0, -10.0), (9, -10.0)], 10 * MINUTE)) == 1
    assert fed(declared(), [(6, -10.0)], 10 * MINUTE) == []


def test_the_value_before_the_step_covers_its_begin():
    before = [*MINUTES, (10.0, -20.0), *((m, -20.0) for m in range(11, 20))]
    steps = fed(declared(max_age_s=600), [*before, (26, -10.0)], 30 * MINUTE)
    assert [s.value for s in steps] == [-20.0, -20.0, -10.0]


def test_a_step_without_a_sample_uses_the_last_value_while_it_is_not_too_old():
    samples = [(m, -10.0) for m in range(10)]
    steps = fed(declared(max_age_s=1200), samples, 60 * MINUTE)
    assert [s.at_ms // MINUTE for s in steps] == [10, 20]  # at 30 the value is 21 minutes old


def test_last_is_what_it_always_was_and_no_key_of_a_bundle():
    plainly, named = declared(statistic="last"), declared()
    assert plainly.statistic is None
    assert "statistic" not in plain(plainly)
    assert plain(named)["statistic"] == "max"
    assert fed(plainly, [(3, -10.0)])[0].full
    assert forecastable(plainly)
    assert not forecastable(named)


def test_an_unknown_statistic_is_refused():
    with pytest.raises(ConfigError, match="statistic"):
        declared("median")


def test_two_signals_of_one_instant_are_one_value():
    condition = load_conditions(
        [
            {
                "id": "dew",
                "derived": "dew_point_margin",
                "temperature": str(WARM),
                "humidity": str(DAMP),
                "comparison": "below",
                "limit": 3.0,
                "step_s": 600,
                "max_age_s": 300,
                "statistic": "min",
            }
        ],
        "x",
    )[0]
    evaluator, steps = Evaluator(condition), []
    # Dry at each instant; the new temperature with the old humidity would be a margin of 0.
    for minute, warm, damp in [(0, 30.0, 40.0), (1, 10.0, 50.0), (2, 30.0, 40.0)]:
        for signal, value in ((WARM, warm), (DAMP, damp)):
            steps += evaluator.take(signal, Sample(minute * MINUTE, value))
    (step,) = evaluator.advance(10 * MINUTE)
    assert step.value > 8


samples = st.lists(
    st.tuples(st.integers(1, 4 * 600_000), st.floats(-30, 0)), min_size=1, max_size=40
)


@given(samples, st.sampled_from(["max", "mean", "min"]), st.integers(60, 1800), st.data())
def test_ticks_restarts_and_replay_give_the_same_steps(gaps, statistic, max_age_s, data):
    condition = declared(statistic, max_age_s=max_age_s)
    at_ms, rows = 0, []
    for gap_ms, value in gaps:
        at_ms += gap_ms
        rows.append((at_ms, value))
    end_ms = at_ms + 4 * 600_000
    plain_evaluator = Evaluator(condition)
    expected = [s for row in rows for s in plain_evaluator.take(COLD, Sample(*row))]
    expected += plain_evaluator.advance(end_ms)

    ticking, found = Evaluator(condition), []
    now_ms = 0
    for row in rows:
        while now_ms + 97_000 < row[0]:  # as a gateway does: time passes between samples
            now_ms += 97_000
            found += ticking.advance(now_ms)
        if data.draw(st.booleans()):
            ticking = Evaluator.restored(condition, json.loads(json.dumps(ticking.saved())))
        found += ticking.take(COLD, Sample(*row))
        now_ms = row[0]
    while now_ms < end_ms:
        now_ms += 97_000
        found += ticking.advance(min(now_ms, end_ms))
    assert found == expected

    times, values = zip(*rows, strict=True)
    readings = Readings.of_rows([COLD] * len(rows), np.array(times, np.int64), np.array(values))
    steps = replay(condition, readings)
    shown = list(zip(steps.begins_ms.tolist(), steps.values.tolist(), strict=True))
    assert shown == [(s.begins_ms, s.value) for s in expected][: len(shown)]
    assert not steps.full.any()
    assert (steps.rows == -1).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_the_statistic_is_that_of_numpy(seed, missing):
    draw = np.random.default_rng(seed)
    at_ms = np.sort(draw.choice(np.arange(1, 3_600_000, 1000), 200 - missing, replace=False))
    values = np.round(draw.normal(-18, 3, len(at_ms)), 2)
    readings = Readings.of_rows([COLD] * len(at_ms), at_ms.astype(np.int64), values)
    for statistic, function in (("mean", np.mean), ("max", np.max), ("min", np.min)):
        steps = replay(declared(statistic), readings)
        expected = [
            function(values[(at_ms >= begin) & (at_ms < begin + 600_000)])
            for begin in range(0, int(at_ms[-1]) // 600_000 * 600_000, 600_000)
        ]
        assert steps.values == pytest.approx(expected)


def test_episodes_of_a_freezer_depend_on_the_statistic_and_less_on_the_step():
    """A short defrost every four hours: one sample in an hour misses it, the maximum does not."""
    minute = np.arange(14 * 1440)
    values = np.where(minute % 240 < 8, -15.0, -20.0)
    at_ms = minute.astype(np.int64) * MINUTE + 30_000 + 600_000
    readings = Readings.of_rows([COLD] * len(minute), at_ms, values)
    count = {
        (statistic, step_s): len(
            intervals(replay(declared(statistic, step_s=step_s, max_age_s=7200), readings))
        )
        for statistic in ("last", "max", "mean")
        for step_s in (600, 3600)
    }
    assert count["max", 600] in (83, 84)
    assert count["max", 3600] in (83, 84)
    assert count["last", 3600] <= 1
    assert count["mean", 3600] == 0  # 8 minutes of 60 do not lift the mean
