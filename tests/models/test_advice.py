"""Declarations that jittered readings leave without labels are named, with the value to set."""

import numpy as np
import pytest

from contract.quantities import Quantity
from contract.signals import Signal
from models.advice import advice
from models.conditions import load_conditions
from models.replay import Readings, onsets, replay

COLD = Signal("freezer", Quantity.TEMPERATURE)


def declared(step_s, max_age_s):
    table = {
        "id": "warm",
        "signal": str(COLD),
        "comparison": "above",
        "limit": -18.0,
        "step_s": step_s,
        "max_age_s": max_age_s,
        "horizon_s": 10 * step_s,
    }
    return load_conditions([table], "x")


def labelled(condition, interval_s, seed=1):
    """Share of steps with a label, of those that may have one; readings are early or late."""
    draw = np.random.default_rng(seed)
    at_s = np.arange(3000) * interval_s + draw.uniform(-interval_s / 3, interval_s / 3, 3000) + 9960
    readings = Readings.of_rows(
        [COLD] * 3000, (at_s * 1000).astype(np.int64), draw.normal(-18, 1, 3000)
    )
    steps = replay(condition, readings)
    ends = condition.horizon_s // condition.step_s
    return float((~np.isnan(onsets(steps, condition)))[:-ends].mean())


@pytest.mark.parametrize("max_age_s", [60])
def test_a_limit_of_one_step_labels_almost_nothing_and_is_named(max_age_s):
    (condition,) = declared(60, max_age_s)
    assert labelled(condition, 60) < 0.4
    (text,) = advice([condition], {"freezer": 60})
    assert text.startswith(f"[[condition]] warm: max_age_s = {max_age_s} is too short")
    assert text.endswith("Set max_age_s to 120 or more")
    (better,) = declared(60, 120)
    assert advice([better], {"freezer": 60}) == []
    assert labelled(better, 60) > 0.9


def test_many_readings_in_a_step_need_no_long_limit():
    (condition,) = declared(3600, 120)
    assert advice([condition], {"freezer": 60}) == []
    assert labelled(condition, 60) > 0.9


def test_without_an_interval_one_reading_in_a_step_is_assumed():
    assert advice(declared(600, 1200), {}) == []
    (text,) = advice(declared(600, 600), {"another": 1.0})
    assert "Set max_age_s to 1200 or more" in text
