from datetime import date, timedelta

import pytest

from cloud.config import Period
from cloud.search.names import IndexNames
from contract.records import Kind

DAY = date(2013, 7, 4)


def test_readings_by_day_or_month_and_the_rest_by_year():
    daily, monthly = (IndexNames("dewline", period) for period in (Period.DAY, Period.MONTH))
    assert daily.index(Kind.READING, DAY) == "dewline-reading-2013.07.04"
    assert monthly.index(Kind.READING, DAY) == "dewline-reading-2013.07"
    for names in (daily, monthly):
        assert names.index(Kind.MODEL_REPORT, DAY) == "dewline-model-report-2013.01"


def test_the_whole_plausible_time_has_few_indices():
    """A record of every kind for each day since 2012 does not use up 1,000 shards."""
    names = IndexNames("dewline", Period.MONTH)
    days = [date(2012, 1, 1) + timedelta(n) for n in range(15 * 365)]
    made = {names.index(kind, day) for kind in Kind for day in days}
    assert len(made | {names.forecast(day) for day in days}) < 500


@pytest.mark.parametrize("old", ["status-2013.07.04", "status-2013.07"])
def test_an_index_of_an_older_release_keeps_its_records(old):
    """A record that arrives again finds its first copy there."""
    names = IndexNames("dewline", Period.MONTH, frozenset({f"dewline-{old}"}))
    assert names.index(Kind.STATUS, DAY) == f"dewline-{old}"
    assert names.index(Kind.STATUS, date(2013, 8, 4)) == "dewline-status-2013.01"
    assert names.index(Kind.HELD, DAY) == "dewline-held-2013.01"
    assert names.unsynced(Kind.STATUS) == names.index(Kind.STATUS, date(1970, 1, 1))


def test_forecasts_of_an_older_release_stay_where_they_are():
    names = IndexNames("x", Period.MONTH, frozenset({"x-cloud-prediction-2013.07.04"}))
    assert names.forecast(DAY) == "x-cloud-prediction-2013.07.04"
    assert names.forecast(date(2013, 7, 5)) == "x-cloud-prediction-2013.07"


def test_the_day_for_unknown_has_one_index_whatever_the_period():
    for period in Period:
        names = IndexNames("x", period)
        assert names.index(Kind.LOSS, date(1970, 1, 1)) == "x-loss-unsynced"


def test_years_have_four_digits():
    names = IndexNames("x", Period.DAY)
    assert names.index(Kind.READING, date(7, 1, 2)) == "x-reading-0007.01.02"


def test_no_kind_answers_to_the_pattern_of_another():
    names = IndexNames("x", Period.DAY)
    for kind in Kind:
        mine = f"{names.alias(kind)}-"
        others = [names.alias(k) for k in Kind if k is not kind]
        assert not [o for o in others if f"{o}-".startswith(mine)]
