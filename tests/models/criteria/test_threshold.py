"""The limit itself, and the way back across limit and hysteresis."""

import pytest

from models.conditions import load_conditions
from models.criteria import criterion_of

TABLE = {
    "id": "damp",
    "signal": "attic/humidity",
    "limit": 70.0,
    "hysteresis": 2.0,
    "step_s": 3600,
    "max_age_s": 7200,
}


@pytest.mark.parametrize(
    ("comparison", "value", "begins", "goes_on"),
    [
        ("above", 70.0, False, True),  # the limit itself is not beyond it
        ("above", 70.1, True, True),
        ("above", 68.0, False, False),
        ("above", 68.1, False, True),
        ("below", 70.0, False, True),
        ("below", 69.9, True, True),
        ("below", 72.0, False, False),
        ("below", 71.9, False, True),
    ],
)
def test_limit_and_hysteresis(comparison, value, begins, goes_on):
    (condition,) = load_conditions([{**TABLE, "comparison": comparison}], "x")
    for before, after in ((False, begins), (True, goes_on)):
        criterion = criterion_of(condition, {"holds": before})
        criterion.judge(value, 0)
        assert criterion.holds is after
