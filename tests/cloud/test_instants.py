"""Instants as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.instants import LAST_INSTANT, parse_instant, shown_instant, shown_span
from contract.errors import ConfigError


@given(st.integers(-62_135_596_800_000, LAST_INSTANT))
def test_what_is_shown_is_read_as_the_same(at):
    assert parse_instant(shown_instant(at)) == at


def test_instants_are_rfc_3339_in_utc():
    assert shown_instant(1_356_998_400_000) == "2013-01-01T00:00:00Z"
    assert shown_instant(1_356_998_400_050) == "2013-01-01T00:00:00.050Z"
    assert parse_instant("2013-01-01T02:00:00+02:00") == 1_356_998_400_000
    assert shown_instant(None) == "-"


@pytest.mark.parametrize("text", ["yesterday", "2013-01-01T00:00:00", "", "2013-01-01"])
def test_what_is_no_instant_is_refused_with_what_to_write(text):
    with pytest.raises(ConfigError, match=r"2013-07-15T00:00:00Z|add Z"):
        parse_instant(text)


def test_spans_are_shown_in_their_two_largest_units():
    shown = [shown_span(s * 1000) for s in (0, 3, 60, 723, 18_720, 86_400, 273_600)]
    assert shown == ["0 s", "3 s", "1 min", "12 min 3 s", "5 h 12 min", "1 d", "3 d 4 h"]
