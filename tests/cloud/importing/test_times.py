"""Times of files: formats, zones, and local times that are not one instant."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.importing.mapping import Ambiguous, TimeKeys
from cloud.importing.times import TimeReader, joined

NEW_YEAR = 1_704_067_200_000  # 2024-01-01T00:00:00Z
HOUR_MS = 3_600_000


def read(text, column="t", **keys):
    """The instant of one text, or the reason why it has none."""
    array = text if isinstance(text, pa.Array) else pa.array([text], pa.string())
    at_ms, why = TimeReader(TimeKeys(columns=(column,), **keys), column).read(array)
    reasons = [reason for reason, rows in why.items() if len(rows)]
    return reasons[0] if reasons else int(at_ms[0])


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("2024-01-01T00:00:00Z", {}, NEW_YEAR),
        ("2024-01-01T01:00:00+01:00", {}, NEW_YEAR),
        ("2024-01-01 00:00:00.250", {"zone": "UTC"}, NEW_YEAR + 250),
        ("2024-01-01 01:00", {"zone": "Europe/Berlin"}, NEW_YEAR),
        ("1704067200", {"format": "epoch_s"}, NEW_YEAR),
        ("1704067200.5", {"format": "epoch_s"}, NEW_YEAR + 500),
        ("1704067200123", {"format": "epoch_ms"}, NEW_YEAR + 123),
        ("1704067200123456", {"format": "epoch_us"}, NEW_YEAR + 123),
        ("1704067200123456789", {"format": "epoch_ns"}, NEW_YEAR + 123),
        ("01.01.2024 00:00", {"format": "%d.%m.%Y %H:%M", "zone": "UTC"}, NEW_YEAR),
        ("2024-01-01T00:00:00Z", {"shift_s": 3600}, NEW_YEAR + HOUR_MS),
        (" 2024-01-01T00:00:00Z ", {}, NEW_YEAR),
        ("2024-01-01 00:00", {}, "no_zone"),
        ("yesterday", {}, "bad_time"),
        ("", {}, "bad_time"),
        (None, {}, "bad_time"),
        ("x", {"format": "epoch_s"}, "bad_time"),
        ("nan", {"format": "epoch_s"}, "bad_time"),
        ("inf", {"format": "epoch_ms"}, "bad_time"),
        ("32.01.2024", {"format": "%d.%m.%Y", "zone": "UTC"}, "bad_time"),
    ],
)
def test_a_time_is_an_instant_or_has_a_reason(text, keys, expected):
    assert read(text, **keys) == expected


def test_a_time_that_occurs_twice_is_what_the_mapping_says():
    """In Berlin clocks went from 03:00 back to 02:00 on 2024-10-27, at 01:00 UTC."""
    text, utc = "2024-10-27 02:30", 1_729_989_000_000  # 2024-10-27T00:30:00Z
    assert datetime.fromtimestamp(utc / 1000, UTC).isoformat() == "2024-10-27T00:30:00+00:00"
    zone = {"zone": "Europe/Berlin"}
    assert read(text, **zone) == "ambiguous_time"
    assert read(text, **zone, ambiguous=Ambiguous.EARLIER) == utc
    assert read(text, **zone, ambiguous=Ambiguous.LATER) == utc + HOUR_MS


@pytest.mark.parametrize("ambiguous", Ambiguous)
def test_a_time_that_does_not_exist_is_refused_always(ambiguous):
    """On 2024-03-31 clocks went from 02:00 to 03:00."""
    found = read("2024-03-31 02:30", zone="Europe/Berlin", ambiguous=ambiguous)
    assert found == "nonexistent_time"


@pytest.mark.parametrize(
    ("column", "offset_h"),
    [("Date Time, GMT-05:00", -5), ("Date Time, GMT+02:00", 2), ("Time (UTC)", 0)],
)
def test_the_zone_may_be_in_the_header(column, offset_h):
    found = read("2024-01-01 00:00", column, zone="header")
    assert found == NEW_YEAR - offset_h * HOUR_MS


def test_a_header_without_a_zone_gives_none():
    assert read("2024-01-01 00:00", "Date", zone="header") == "no_zone"


def test_date_and_time_are_joined():
    column = joined([pa.array(["2024-01-01"]), pa.array(["01:00"])])
    assert read(column, zone="Europe/Berlin") == NEW_YEAR


def test_timestamps_of_parquet_are_instants_or_local():
    stamp = datetime(2024, 1, 1, 1)  # noqa: DTZ001  # a local time
    assert read(pa.array([stamp], pa.timestamp("us")), zone="Europe/Berlin") == NEW_YEAR
    zoned = pa.array([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("ns", "Asia/Tokyo"))
    assert read(zoned) == NEW_YEAR
    assert read(pa.array([None], pa.timestamp("us", "UTC"))) == "bad_time"
    assert read(pa.array([None], pa.timestamp("us")), zone="UTC") == "bad_time"


@pytest.mark.parametrize("year_ms", [-(10**15), 10**15, 2**62, -(2**62)])
def test_timestamps_beyond_every_calendar_are_refused(year_ms):
    stamps = pa.array([year_ms], pa.timestamp("ms"))
    assert read(stamps, zone="Europe/Berlin") == "bad_time"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_the_ends_of_the_calendar_are_instants_or_have_a_reason(text):
    assert isinstance(read(text, zone="Asia/Tokyo"), int | str)


@given(st.lists(st.datetimes(datetime(2012, 1, 1), datetime(2030, 1, 1)), min_size=1))  # noqa: DTZ001
def test_every_row_has_its_own_instant(instants):
    texts = pa.array([i.isoformat() for i in instants])
    at_ms, why = TimeReader(TimeKeys(columns=("t",), zone="UTC"), "t").read(texts)
    expected = [(i - datetime(1970, 1, 1)).total_seconds() * 1000 // 1 for i in instants]  # noqa: DTZ001
    assert np.abs(at_ms - expected).max() <= 1
    assert not any(len(rows) for rows in why.values())
