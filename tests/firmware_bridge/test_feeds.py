"""True values for simulated chips: a recording at an instant, its file, and the made-up day."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ConfigError
from contract.quantities import Quantity
from firmware_bridge.simulated import RecordingFeed, TrueValues, WaveFeed, read_recording

HEADER = "at_ms,temperature_c,humidity_pct,pressure_pa\n"
HOUR_MS = 3_600_000


def air(temperature_c):
    known = {Quantity.HUMIDITY: 50.0}
    if temperature_c is not None:
        known[Quantity.TEMPERATURE] = temperature_c
    return TrueValues(known)


def test_latest_row_until_it_is_too_old():
    feed = RecordingFeed([10_000, 20_000, 90_000], [air(1), air(2), air(3)], max_age_s=15)
    told = {now_s: feed.at(now_s) for now_s in (9.999, 10, 19.999, 20, 35, 35.001, 89, 90, 106)}
    assert told == {
        9.999: None,
        10: air(1),
        19.999: air(1),
        20: air(2),
        35: air(2),
        35.001: None,
        89: None,
        90: air(3),
        106: None,
    }
    assert feed.span_ms == (10_000, 90_000)


@given(
    st.lists(st.integers(0, 2_000_000_000_000), unique=True, max_size=30).map(sorted),
    st.integers(0, 2_000_000_000_000),
    st.integers(0, 10**9),
)
def test_agrees_with_a_plain_search(instants, now_ms, max_age_ms):
    feed = RecordingFeed(
        instants, [air(float(instant)) for instant in instants], max_age_s=max_age_ms / 1000
    )
    past = [instant for instant in instants if instant <= now_ms]
    expected = air(float(past[-1])) if past and now_ms - past[-1] <= max_age_ms else None
    assert feed.at(now_ms / 1000) == expected


def test_a_gap_in_one_column_is_not_filled():
    feed = RecordingFeed([0, 1000], [air(1.0), air(None)], max_age_s=60)
    assert feed.at(2.0) == air(None)


@pytest.mark.parametrize(("instants", "rows"), [([1, 1], 2), ([2, 1], 2), ([1, 2], 1), ([1], 2)])
def test_disorder_is_refused(instants, rows):
    with pytest.raises(ValueError):
        RecordingFeed(instants, [air(1.0)] * rows, max_age_s=1)


def test_empty_recording_knows_nothing():
    feed = RecordingFeed([], [], max_age_s=1)
    assert feed.at(0.0) is None
    assert feed.span_ms is None


def test_file(tmp_path):
    path = tmp_path / "attic.csv"
    path.write_text(HEADER + "0,-1.5,80,101325\n3600000,,,100900.5\n7200000,2,,\n")
    feed = read_recording(path, max_age_s=3600)
    temperature, humidity, pressure = tuple(Quantity)[:3]
    assert feed.at(0) == TrueValues({temperature: -1.5, humidity: 80.0, pressure: 101_325.0})
    assert feed.at(3600) == TrueValues({pressure: 100_900.5})
    assert feed.at(7200) == TrueValues({temperature: 2.0})


@given(st.lists(st.sampled_from(tuple(Quantity)), unique=True, min_size=1), st.data())
def test_columns_in_any_order(tmp_path_factory, quantities, data):
    values = [data.draw(st.none() | st.floats(-1e6, 1e6)) for _ in quantities]
    path = tmp_path_factory.mktemp("recording") / "any.csv"
    header = ",".join(("at_ms", *(q.facts.column for q in quantities)))
    fields = ",".join("" if value is None else repr(value) for value in values)
    path.write_text(f"{header}\n1000,{fields}\n")
    known = {q: v for q, v in zip(quantities, values, strict=True) if v is not None}
    assert read_recording(path, max_age_s=1).at(1.0) == TrueValues(known)


def test_every_quantity_has_a_column_of_its_own():
    assert len({quantity.facts.column for quantity in Quantity}) == len(Quantity)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: expected at_ms .*temperature_c.*found nothing"),
        ("time,t,h,p\n", "line 1: expected at_ms .*pressure_pa.*found time,t,h,p"),
        ("at_ms\n", "line 1: expected at_ms .*found at_ms"),
        ("at_ms,temperature\n", "line 1: .*humidity_pct.*found at_ms,temperature"),
        ("humidity_pct,at_ms\n", "line 1: expected at_ms and then"),
        ("at_ms,pressure_pa,pressure_pa\n", "line 1: expected each column once"),
        (HEADER + "0,1,2\n", "line 2: expected 4 fields, found 3"),
        (HEADER + "0,1,2,3\n\n", "line 3: expected 4 fields, found 0"),
        (HEADER + "0,1,2,3\n1.5,1,2,3\n", "line 3: at_ms: expected UNIX milliseconds, found '1.5'"),
        (HEADER + "5,1,2,3\n5,1,2,3\n", "line 3: at_ms: expected more than 5 .*, found 5"),
        (HEADER + "0,cold,2,3\n", "line 2: temperature_c: .*'cold'"),
        (HEADER + "0,1,nan,3\n", "line 2: humidity_pct: .*'nan'"),
        (HEADER + "0,1,2,inf\n", "line 2: pressure_pa: .*'inf'"),
        (HEADER + '0,"1,2,3\n', "cannot be read"),
    ],
)
def test_bad_file_names_file_and_line(text, told, tmp_path):
    path = tmp_path / "attic.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        read_recording(path, max_age_s=1)
    assert "attic.csv" in str(caught.value)


def test_missing_and_binary_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv"):
        read_recording(tmp_path / "none.csv", max_age_s=1)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.csv"):
        read_recording(tmp_path / "binary.csv", max_age_s=1)


def value(feed, now_s, quantity):
    return feed.at(now_s).value(quantity)


@given(st.floats(0, 4e9))
def test_wave_is_smooth_and_possible(now_s):
    feed = WaveFeed()
    now, later = feed.at(now_s), feed.at(now_s + 60)
    for quantity in Quantity:
        facts = quantity.facts
        assert facts.low <= now.value(quantity) <= facts.high
        if quantity != "contact":
            change = abs(now.value(quantity) - later.value(quantity))
            assert change <= (facts.high - facts.low) / 1000
    tomorrow = value(feed, now_s + 86_400, Quantity.TEMPERATURE)
    assert math.isclose(tomorrow, now.value(Quantity.TEMPERATURE), abs_tol=1e-3)


def test_wave_is_warmest_and_driest_in_the_afternoon():
    feed, hours = WaveFeed(mean_c=10, swing_c=4), range(24)
    assert max(hours, key=lambda hour: value(feed, hour * 3600, Quantity.TEMPERATURE)) == 15
    assert min(hours, key=lambda hour: value(feed, hour * 3600, Quantity.HUMIDITY)) == 15
    assert value(feed, 15 * 3600, Quantity.TEMPERATURE) == pytest.approx(14.0)


def test_wave_has_values_of_a_home():
    day = [WaveFeed().at(minute * 60) for minute in range(24 * 60)]
    assert all(400 < values.value(Quantity.CO2) < 2000 for values in day)
    assert all(11 < values.value(Quantity.VOLTAGE) < 15 for values in day)
    dark_total = sum(values.value(Quantity.ILLUMINANCE) == 0.0 for values in day)
    assert dark_total == pytest.approx(12 * 60, abs=2)


def test_wave_opens_its_contact_a_few_times_a_day():
    door = [value(WaveFeed(), minute * 60, Quantity.CONTACT) for minute in range(24 * 60)]
    assert set(door) == {0.0, 1.0}
    opened_total = sum(door[at - 1] == 1.0 and door[at] == 0.0 for at in range(1, len(door)))
    assert 2 <= opened_total <= 6
    assert 10 <= door.count(0.0) <= 60
