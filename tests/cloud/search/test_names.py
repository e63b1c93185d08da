from datetime import date

from cloud.config import Period
from cloud.search.names import IndexNames
from contract.records import Kind


def test_names_by_day_and_by_month():
    day = date(2013, 7, 4)
    assert IndexNames("dewline", Period.DAY).index(Kind.MODEL_REPORT, day) == (
        "dewline-model-report-2013.07.04"
    )
    assert IndexNames("dewline", Period.MONTH).index(Kind.READING, day) == (
        "dewline-reading-2013.07"
    )


def test_the_day_for_unknown_has_one_index_whatever_the_period():
    for period in Period:
        names = IndexNames("x", period)
        assert names.index(Kind.LOSS, date(1970, 1, 1)) == "x-loss-unsynced"


def test_years_have_four_digits():
    names = IndexNames("x", Period.DAY)
    assert names.index(Kind.ALERT, date(7, 1, 2)) == "x-alert-0007.01.02"


def test_no_kind_answers_to_the_pattern_of_another():
    names = IndexNames("x", Period.DAY)
    for kind in Kind:
        mine = f"{names.alias(kind)}-"
        others = [names.alias(k) for k in Kind if k is not kind]
        assert not [o for o in others if f"{o}-".startswith(mine)]
