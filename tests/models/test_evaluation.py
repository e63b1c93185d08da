"""Evaluation: single cases by hand, laws by hypothesis."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signals import Signal
from models.conditions import load_conditions
from models.derived import dew_point_c
from models.evaluation import Evaluator, Sample, Step

HUMIDITY, TEMPERATURE, OTHER = map(
    Signal.parse, ("attic/humidity", "attic/temperature", "cellar/humidity")
)
MINUTE, HOUR = 60_000, 3_600_000


def condition(**keys):
    table = {
        "id": "damp",
        "signal": str(HUMIDITY),
        "comparison": "above",
        "limit": 70.0,
        "step_s": 3600,
        "max_age_s": 7200,
        **keys,
    }
    if "derived" in keys:
        table = {"temperature": str(TEMPERATURE), "humidity": str(HUMIDITY), **table}
        del table["signal"]
    return load_conditions([table], "x")[0]


DEW = {"derived": "dew_point_margin", "comparison": "below", "limit": 3.0}


def verdicts(steps):
    return [(s.at_ms, s.value, s.holds, s.changed) for s in steps]


# --- dew point -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("temperature_c", "humidity_pct", "expected_c"),
    [
        # by hand, Magnus with the WMO's 17.62 and 243.12: gamma = ln 0.5 + 17.62 * 20 / 263.12
        # = -0.693147 + 1.339313 = 0.646166; 243.12 * 0.646166 / (17.62 - 0.646166) = 9.2552
        (20.0, 50.0, 9.255),
        # gamma = ln 0.8 + 17.62 * 30 / 273.12 = -0.223144 + 1.935413 = 1.712269
        (30.0, 80.0, 26.169),
        # gamma = ln 0.9 - 17.62 * 10 / 233.12 = -0.105361 - 0.755834 = -0.861195
        (-10.0, 90.0, -11.329),
        (0.0, 100.0, 0.0),
        (25.0, 100.0, 25.0),
    ],
)
def test_dew_point(temperature_c, humidity_pct, expected_c):
    assert dew_point_c(temperature_c, humidity_pct) == pytest.approx(expected_c, abs=0.001)


@given(st.floats(-45, 60), st.floats(1, 100))
def test_at_the_dew_point_air_is_saturated(temperature_c, humidity_pct):
    """The definition: saturation pressure at the dew point = the vapour's own pressure."""

    def saturation_hpa(t_c):
        return 6.112 * math.exp(17.62 * t_c / (243.12 + t_c))

    vapour_hpa = saturation_hpa(temperature_c) * humidity_pct / 100
    assert saturation_hpa(dew_point_c(temperature_c, humidity_pct)) == pytest.approx(vapour_hpa)


# --- one signal ----------------------------------------------------------------------------------


def test_a_step_completes_with_its_first_sample():
    evaluator = Evaluator(condition())
    assert evaluator.take(HUMIDITY, Sample(10 * MINUTE, 71.0)) == [
        Step(begins_ms=0, at_ms=10 * MINUTE, value=71.0, holds=True, changed=True, full=True)
    ]
    assert evaluator.take(HUMIDITY, Sample(20 * MINUTE, 60.0)) == []
    later = evaluator.take(HUMIDITY, Sample(HOUR + 10 * MINUTE, 60.0))
    assert verdicts(later) == [(HOUR + 10 * MINUTE, 60.0, False, True)]


def test_the_limit_itself_does_not_count():
    evaluator = Evaluator(condition())
    assert verdicts(evaluator.take(HUMIDITY, Sample(0, 70.0))) == [(0, 70.0, False, False)]


def test_an_overdue_step_takes_the_last_value_at_its_end():
    evaluator = Evaluator(condition(max_age_s=2 * 3600))
    evaluator.take(HUMIDITY, Sample(10 * MINUTE, 60.0))
    evaluator.take(HUMIDITY, Sample(50 * MINUTE, 75.0))
    assert evaluator.advance(2 * HOUR - 1) == []
    assert verdicts(evaluator.advance(2 * HOUR)) == [(2 * HOUR, 75.0, True, True)]
    # at 3:00 it is 2 h 10 min old: too old, no verdict; what held goes on holding
    assert evaluator.advance(9 * HOUR) == []
    assert evaluator.holds


@pytest.mark.parametrize(("max_age_s", "expected"), [(7200, 1), (7199, 0)])
def test_a_value_counts_up_to_its_greatest_age(max_age_s, expected):
    evaluator = Evaluator(condition(max_age_s=max_age_s))
    evaluator.take(HUMIDITY, Sample(0, 60.0))
    assert len(evaluator.advance(2 * HOUR)) == expected  # 7200 s old at the step's end


def test_a_gap_of_weeks_costs_no_more_than_its_first_steps():
    evaluator = Evaluator(condition(step_s=1, max_age_s=3))
    evaluator.take(HUMIDITY, Sample(0, 75.0))
    assert len(evaluator.take(HUMIDITY, Sample(10**10, 75.0))) == 2 + 1  # ends at 2 s, 3 s, and now


def test_duration():
    evaluator = Evaluator(condition(step_s=60, max_age_s=60, duration_s=600))
    for minute in range(10):
        (step,) = evaluator.take(HUMIDITY, Sample(minute * MINUTE, 75.0))
        assert not step.holds, minute
    assert verdicts(evaluator.take(HUMIDITY, Sample(10 * MINUTE, 75.0))) == [
        (10 * MINUTE, 75.0, True, True)
    ]


def test_a_duration_begins_anew_after_one_step_on_the_good_side():
    evaluator = Evaluator(condition(step_s=60, max_age_s=60, duration_s=600))
    values = [75.0] * 9 + [70.0] + [75.0] * 10
    steps = [
        step
        for minute, value in enumerate(values)
        for step in evaluator.take(HUMIDITY, Sample(minute * MINUTE, value))
    ]
    assert not any(s.holds for s in steps)


def test_a_duration_does_not_run_on_through_a_time_without_values():
    evaluator = Evaluator(condition(step_s=60, max_age_s=120, duration_s=600))
    evaluator.take(HUMIDITY, Sample(0, 75.0))
    steps = evaluator.take(HUMIDITY, Sample(20 * MINUTE, 75.0))
    assert steps[-1].at_ms == 20 * MINUTE
    assert not steps[-1].holds
    assert evaluator.saved()["beyond_since_ms"] == 20 * MINUTE


def test_hysteresis_ends_it_only_beyond_the_way_back():
    evaluator = Evaluator(condition(hysteresis=2.0))
    holds = []
    for hour, value in enumerate((71.0, 69.0, 68.1, 71.0, 68.0, 69.9, 70.1)):
        (step,) = evaluator.take(HUMIDITY, Sample(hour * HOUR, value))
        holds.append(step.holds)
    assert holds == [True, True, True, True, False, False, True]


def test_a_sample_without_a_value_moves_time_on_and_nothing_else():
    evaluator = Evaluator(condition())
    evaluator.take(HUMIDITY, Sample(0, 75.0))
    assert evaluator.take(HUMIDITY, Sample(HOUR, None)) == []
    assert verdicts(evaluator.take(HUMIDITY, Sample(2 * HOUR, None))) == [
        (2 * HOUR, 75.0, True, False)
    ]


def test_a_sample_of_another_signal_moves_time_on():
    evaluator = Evaluator(condition())
    evaluator.take(HUMIDITY, Sample(0, 75.0))
    evaluator.take(OTHER, Sample(HOUR, 10.0))
    steps = evaluator.take(OTHER, Sample(2 * HOUR, 10.0))
    assert verdicts(steps) == [(2 * HOUR, 75.0, True, False)]


@pytest.mark.parametrize("late_ms", [HOUR - 1, 0, HOUR + 5 * MINUTE])
def test_a_late_sample_changes_nothing(late_ms):
    evaluator = Evaluator(condition())
    evaluator.take(HUMIDITY, Sample(0, 75.0))
    evaluator.take(HUMIDITY, Sample(HOUR + 10 * MINUTE, 75.0))
    before = evaluator.saved()
    assert evaluator.take(HUMIDITY, Sample(late_ms, 10.0)) == []
    assert evaluator.saved() == before


# --- two signals ---------------------------------------------------------------------------------


def test_a_pair_completes_with_the_second_of_its_signals():
    evaluator = Evaluator(condition(**DEW))
    assert evaluator.take(TEMPERATURE, Sample(0, 20.0)) == []
    (step,) = evaluator.take(HUMIDITY, Sample(10, 50.0))
    assert (step.at_ms, step.holds) == (10, False)
    assert step.value == pytest.approx(20.0 - 9.255, abs=0.001)
    assert evaluator.take(HUMIDITY, Sample(HOUR, 90.0)) == []
    (step,) = evaluator.take(TEMPERATURE, Sample(HOUR + 10, 20.0))
    assert step.holds  # the dew point at 90 % is some 18.3 degrees: a margin of 1.7 K


def test_a_pair_with_one_signal_overdue_completes_at_the_steps_end():
    evaluator = Evaluator(condition(**DEW))
    evaluator.take(TEMPERATURE, Sample(0, 20.0))
    evaluator.take(HUMIDITY, Sample(0, 50.0))
    evaluator.take(HUMIDITY, Sample(HOUR + 5 * MINUTE, 95.0))
    assert verdicts(evaluator.advance(2 * HOUR))[0][0] == 2 * HOUR
    assert evaluator.holds
    # at 3:00 the temperature is older than max_age_s
    evaluator.take(HUMIDITY, Sample(2 * HOUR + 5 * MINUTE, 50.0))
    assert evaluator.advance(3 * HOUR) == []


def test_two_samples_of_one_step_too_far_apart_do_not_make_a_pair():
    evaluator = Evaluator(condition(**DEW, max_age_s=60))
    evaluator.take(TEMPERATURE, Sample(0, 20.0))
    assert evaluator.take(HUMIDITY, Sample(10 * MINUTE, 50.0)) == []
    assert len(evaluator.take(TEMPERATURE, Sample(10 * MINUTE + 30_000, 20.0))) == 1


def test_humidity_of_zero_has_no_dew_point():
    evaluator = Evaluator(condition(**DEW))
    evaluator.take(TEMPERATURE, Sample(0, 20.0))
    assert evaluator.take(HUMIDITY, Sample(10, 0.0)) == []


# --- another time line ---------------------------------------------------------------------------


def test_rebase_keeps_ages_durations_and_what_was_judged():
    evaluator = Evaluator(condition(step_s=60, max_age_s=60, duration_s=600))
    for minute in range(5):
        evaluator.take(HUMIDITY, Sample(minute * MINUTE, 75.0))
    evaluator.rebase(1_700_000_000_000)
    steps = [
        step
        for minute in range(5, 12)
        for step in evaluator.take(HUMIDITY, Sample(1_700_000_000_000 + minute * MINUTE, 75.0))
    ]
    assert [s.at_ms - 1_700_000_000_000 for s in steps if s.changed] == [10 * MINUTE]


def test_rebase_backwards_does_not_blind_it():
    evaluator = Evaluator(condition())
    evaluator.take(HUMIDITY, Sample(100 * HOUR, 60.0))
    evaluator.rebase(-50 * HOUR)
    assert verdicts(evaluator.take(HUMIDITY, Sample(51 * HOUR, 75.0))) == [
        (51 * HOUR, 75.0, True, True)
    ]


def test_rebase_to_nowhere_keeps_only_what_holds():
    evaluator = Evaluator(condition(duration_s=60))
    evaluator.take(HUMIDITY, Sample(0, 75.0))
    evaluator.take(HUMIDITY, Sample(HOUR, 75.0))
    evaluator.rebase(None)
    assert evaluator.saved() == Evaluator(condition(), holds=True).saved()


# --- laws ----------------------------------------------------------------------------------------

CONDITIONS = [
    condition(),
    condition(hysteresis=5.0, duration_s=7200),
    condition(step_s=600, max_age_s=3000, duration_s=1800),
    condition(**DEW, hysteresis=1.0),
    condition(**DEW, step_s=900, max_age_s=2000, duration_s=900),
]


@st.composite
def histories(draw):
    """Samples in the order of their times, some of no use, some of other signals."""
    at_ms = draw(st.integers(0, HOUR))
    samples = []
    for _ in range(draw(st.integers(1, 40))):
        at_ms += draw(st.sampled_from((0, 1, 5 * MINUTE, HOUR)) | st.integers(0, 5 * HOUR))
        signal = draw(st.sampled_from((HUMIDITY, TEMPERATURE, OTHER)))
        low, high = (60, 80) if signal == HUMIDITY else (18, 22)
        value = draw(st.none() | st.integers(10 * low, 10 * high).map(lambda v: v / 10))
        samples.append((signal, Sample(at_ms, value)))
    return samples


def replay(evaluator, samples):
    return [step for signal, sample in samples for step in evaluator.take(signal, sample)]


@given(st.sampled_from(CONDITIONS), histories())
def test_never_the_same_change_twice_in_a_row_and_never_a_step_twice(declared, samples):
    steps = replay(Evaluator(declared), samples)
    changes = [s.holds for s in steps if s.changed]
    assert all(a != b for a, b in pairwise(changes))
    assert changes[:1] in ([], [True])
    begins = [s.begins_ms for s in steps]
    assert begins == sorted(set(begins))
    assert all(s.begins_ms <= s.at_ms <= s.begins_ms + declared.step_s * 1000 for s in steps)


@given(st.sampled_from(CONDITIONS), histories(), st.data())
def test_asking_in_between_changes_nothing(declared, samples, data):
    plain, asked = Evaluator(declared), Evaluator(declared)
    expected = replay(plain, samples)
    found, before_ms = [], 0
    for signal, sample in samples:
        for now_ms in sorted(data.draw(st.lists(st.integers(before_ms, sample.at_ms), max_size=3))):
            found += asked.advance(now_ms)
        found += asked.take(signal, sample)
        before_ms = sample.at_ms
    assert found == expected


@given(st.sampled_from(CONDITIONS), histories(), st.data())
def test_stored_and_restored_in_the_middle_changes_nothing(declared, samples, data):
    cut = data.draw(st.integers(0, len(samples)))
    whole = replay(Evaluator(declared), samples)
    first = Evaluator(declared)
    steps = replay(first, samples[:cut])
    second = Evaluator.restored(declared, json.loads(json.dumps(first.saved())))
    assert steps + replay(second, samples[cut:]) == whole


@given(st.sampled_from(CONDITIONS), histories(), st.data())
def test_rebase_by_whole_steps_moves_the_verdicts_and_changes_none(declared, samples, data):
    cut = data.draw(st.integers(0, len(samples)))
    delta_ms = data.draw(st.integers(-1000, 1000)) * declared.step_s * 1000
    whole = replay(Evaluator(declared), samples)
    evaluator = Evaluator(declared)
    steps = replay(evaluator, samples[:cut])
    evaluator.rebase(delta_ms)
    moved = [(name, Sample(s.at_ms + delta_ms, s.value)) for name, s in samples[cut:]]
    rest = [
        Step(s.begins_ms - delta_ms, s.at_ms - delta_ms, s.value, s.holds, s.changed, s.full)
        for s in replay(evaluator, moved)
    ]
    assert steps + rest == whole
