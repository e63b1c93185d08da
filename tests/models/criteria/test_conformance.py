"""What every criterion owes: its state survives a restart and another time line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conditions import Comparison, load_conditions
from models.criteria import CRITERIA, criterion_of

STEP_MS = 60_000
values = st.lists(st.none() | st.floats(60, 80), max_size=30)
comparisons = pytest.mark.parametrize("comparison", list(Comparison))


def declared(comparison):
    table = {"id": "damp", "signal": "attic/humidity", "limit": 70.0, "hysteresis": 2.0}
    table |= {"duration_s": 180, "step_s": 60, "max_age_s": 60, "comparison": comparison.value}
    return load_conditions([table], "x")[0]


def fed(criterion, taken, begin_ms=0):
    """Whether it holds after each step."""
    found = []
    for number, value in enumerate(taken):
        if value is None:
            criterion.skip()
        else:
            criterion.judge(value, begin_ms + number * STEP_MS)
        found.append(criterion.holds)
    return found


def test_every_comparison_has_its_criterion():
    assert set(CRITERIA) == set(Comparison)


@comparisons
@given(values, st.integers(0, 30))
def test_saved_and_restored_in_the_middle_changes_nothing(comparison, taken, cut):
    condition = declared(comparison)
    whole = fed(criterion_of(condition, {}), taken)
    first = criterion_of(condition, {})
    begun = fed(first, taken[:cut])
    second = criterion_of(condition, json.loads(json.dumps(first.saved())))
    assert begun + fed(second, taken[cut:], cut * STEP_MS) == whole


@comparisons
@given(values, st.integers(0, 30), st.integers(-(10**12), 10**12))
def test_another_time_line_changes_nothing(comparison, taken, cut, delta_ms):
    condition = declared(comparison)
    whole = fed(criterion_of(condition, {}), taken)
    criterion = criterion_of(condition, {})
    begun = fed(criterion, taken[:cut])
    criterion.rebase(delta_ms)
    assert begun + fed(criterion, taken[cut:], cut * STEP_MS + delta_ms) == whole


@comparisons
@given(values)
def test_without_a_time_line_only_what_holds_is_kept(comparison, taken):
    condition = declared(comparison)
    criterion = criterion_of(condition, {})
    fed(criterion, taken)
    holds = criterion.holds
    criterion.rebase(None)
    assert criterion.saved() == criterion_of(condition, {"holds": holds}).saved()
