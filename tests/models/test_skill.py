"""Skill by hand, by law, and by week: how sure a figure is depends on weeks, not on windows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.skill import (
    HALF_LIFE_MS,
    MIN_EVENT_WEEKS,
    ReliabilityBin,
    Skill,
    psi,
    recent_weight,
    reliability,
    skill,
)

WEEK = 7 * 86_400_000


def compare(model, baseline, onset, weeks, seed=0):
    arrays = (np.array(a, np.float64) for a in (model, baseline, onset))
    return skill(*arrays, np.array(weeks, np.int64) * WEEK, seed)


def test_by_hand():
    found = compare([0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0, 1, 0], [0, 1, 1])
    # model (0.25 + 0.25 + 0) / 3, baseline (1 + 1 + 0) / 3
    assert (found.windows_total, found.onsets_total, found.event_weeks) == (3, 1, 1)
    assert found.brier_model == pytest.approx(0.5 / 3)
    assert found.brier_baseline == pytest.approx(2 / 3)
    assert found.skill == pytest.approx(0.75)
    # both weeks lose three quarters of their error: nothing is uncertain
    assert (found.low, found.high) == (pytest.approx(0.75), pytest.approx(0.75))


def test_bounds_by_hand():
    """Two weeks of equal error, one of them made perfect: 0, 1/2 or 1 with 1/4, 1/2 and 1/4."""
    found = compare([0.0, 0.5], [0.5, 0.5], [0, 0], [0, 1])
    assert found.skill == pytest.approx(0.5)
    assert (found.low, found.high) == (0.0, 1.0)
    # of twelve such weeks few draws are that far off
    found = compare([0.0, 0.5] * 6, [0.5] * 12, [0] * 12, range(12))
    draws = np.random.default_rng(1).binomial(12, 0.5, 100_000) / 12
    expected = np.percentile(draws, [2.5, 97.5])
    assert [found.low, found.high] == pytest.approx(expected.tolist(), abs=0.02)


def test_a_draw_takes_whole_weeks_of_every_site():
    """Many windows of one spell are one piece of evidence; so are two sites in one week."""
    one_a_week = compare([0.0, 0.5], [0.5, 0.5], [0, 0], [0, 1])
    crowded = compare([0.0] * 500 + [0.5] * 500, [0.5] * 1000, [0] * 1000, [0] * 500 + [1] * 500)
    assert (crowded.low, crowded.high) == (one_a_week.low, one_a_week.high) == (0.0, 1.0)
    apart = compare([0.0] * 500 + [0.5] * 500, [0.5] * 1000, [0] * 1000, range(1000))
    assert 0.45 < apart.low < 0.5 < apart.high < 0.55


def test_older_weeks_count_less():
    at_ms = np.array([0, HALF_LIFE_MS, 2 * HALF_LIFE_MS], np.int64)
    weight = recent_weight(at_ms, 2 * HALF_LIFE_MS)
    np.testing.assert_allclose(weight, [0.25, 0.5, 1.0])
    model, baseline = np.array([0.4, 0.4, 0.1]), np.array([0.2, 0.2, 0.2])
    found = skill(model, baseline, np.zeros(3), at_ms, weight=weight)
    assert found.brier_baseline == pytest.approx(0.04)
    assert found.brier_model == pytest.approx((0.16 * 0.75 + 0.01) / 1.75)
    equal = skill(model, baseline, np.zeros(3), at_ms, weight=np.full(3, 7.0))
    plain = skill(model, baseline, np.zeros(3), at_ms)
    assert (equal.skill, equal.low) == pytest.approx((plain.skill, plain.low))


def test_bounds_depend_on_the_seed_alone():
    draw = np.random.default_rng(20130601)
    model, baseline, onset = draw.random(300), draw.random(300), draw.integers(0, 2, 300)
    weeks = draw.integers(0, 20, 300)
    first, again, other = (compare(model, baseline, onset, weeks, seed) for seed in (3, 3, 4))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)
    assert first.skill == other.skill
    assert first.low == pytest.approx(other.low, abs=0.05)


@pytest.mark.parametrize(("weeks", "enough"), [(MIN_EVENT_WEEKS - 1, False), (8, True)])
def test_weeks_with_events_are_counted_not_events(weeks, enough):
    onset = [1] * (5 * weeks) + [0] * 50
    found = compare([0.3] * len(onset), [0.5] * len(onset), onset, [*range(weeks)] * 5 + [99] * 50)
    assert (found.event_weeks, found.onsets_total) == (weeks, 5 * weeks)
    assert found.enough is enough


def test_nothing_compared_has_no_figures():
    found = compare([], [], [], [])
    assert found == Skill(windows_total=0, onsets_total=0, event_weeks=0)
    assert not found.enough


def test_nothing_is_better_than_a_perfect_baseline():
    found = compare([0.5, 0.5], [1.0, 0.0], [1, 0], [0, 1])
    assert (found.brier_baseline, found.brier_model) == (0.0, 0.25)
    assert (found.skill, found.low, found.high) == (None, None, None)


def test_a_draw_in_which_only_the_model_errs_counts_against_it():
    """The baseline errs in one week of three; a third of a third of draws never has that week."""
    found = compare([0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0, 0, 0], [0, 1, 2])
    assert found.skill == pytest.approx(0.5)
    assert found.low == -1000.0
    assert found.high == 1.0


@st.composite
def forecasts(draw):
    n = draw(st.integers(1, 60))
    probability = st.floats(0, 1, width=32)
    column = [draw(st.lists(probability, min_size=n, max_size=n)) for _ in range(2)]
    onset = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    weeks = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    return column[0], column[1], onset, weeks


@given(forecasts())
def test_the_baseline_has_no_skill_against_itself(rows):
    _, baseline, onset, weeks = rows
    found = compare(baseline, baseline, onset, weeks)
    assert found.brier_model == found.brier_baseline
    if found.brier_baseline:
        assert (found.skill, found.low, found.high) == (0.0, 0.0, 0.0)


@given(forecasts(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    order = list(range(len(rows[0])))
    random.shuffle(order)
    one, other = compare(*rows), compare(*([column[i] for i in order] for column in rows))
    for name in Skill.__slots__:
        left, right = getattr(one, name), getattr(other, name)
        assert left == right or left == pytest.approx(right, rel=1e-6, abs=1e-9)


@given(forecasts())
def test_no_skill_is_above_one_and_bounds_are_in_order(rows):
    found = compare(*rows)
    if found.skill is not None:
        assert found.low <= found.high <= 1.0
        assert found.skill <= 1.0
        assert found.skill > 0 or found.brier_model >= found.brier_baseline


# reliability


def test_reliability_by_hand():
    probability = np.array([0.0, 0.05, 0.1, 0.19, 0.95, 1.0])
    onset = np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    found = reliability(probability, onset)
    assert [(b.bin, b.outcomes_total, b.onset_share) for b in found] == [
        (0, 2, 0.5),
        (1, 2, 0.0),
        (9, 2, 1.0),
    ]
    means = [b.mean_probability for b in found]
    assert means == [pytest.approx(m) for m in (0.025, 0.145, 0.975)]
    assert reliability(np.empty(0), np.empty(0)) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1))
def test_every_forecast_is_in_the_bin_of_its_tenth(rows):
    probability, onset = (np.array(c, np.float64) for c in zip(*rows, strict=True))
    found = reliability(probability, onset)
    assert sum(b.outcomes_total for b in found) == len(rows)
    assert sum(b.outcomes_total * b.onset_share for b in found) == pytest.approx(onset.sum())
    for b in found:
        assert isinstance(b, ReliabilityBin)
        assert b.bin / 10 - 1e-9 <= b.mean_probability <= b.bin / 10 + 0.1 + 1e-9


# drift


def test_psi_by_hand():
    """Edges of 0..99 stand at each tenth value; the recent ones are all in the last bin."""
    reference, recent = np.arange(100.0), np.full(50, 99.0)
    empty, full = 0.5 / 55, 50.5 / 55  # half a window in each of ten bins
    tenth = 10.5 / 105
    expected = 9 * (empty - tenth) * math.log(empty / tenth) + (full - tenth) * math.log(
        full / tenth
    )
    assert psi(reference, recent) == pytest.approx(expected)
    assert psi(reference, reference) == 0.0


def test_psi_of_a_constant_reference_knows_one_edge():
    assert psi(np.zeros(100), np.zeros(10)) == pytest.approx(0.0, abs=0.15)
    assert psi(np.zeros(100), np.full(100, -1.0)) > 1.0


values = st.lists(st.floats(-100, 100), min_size=1, max_size=50).map(np.array)


@given(values, values)
def test_psi_is_never_negative_and_does_not_mind_order(reference, recent):
    found = psi(reference, recent)
    assert found >= 0
    assert psi(reference[::-1], np.sort(recent)) == pytest.approx(found)


@given(values, values, st.floats(0.5, 10))
def test_psi_does_not_mind_the_unit(reference, recent, factor):
    whole = np.round(reference), np.round(recent)  # products of such order as they did
    assert psi(*(2.0 ** round(factor) * v for v in whole)) == pytest.approx(psi(*whole))
