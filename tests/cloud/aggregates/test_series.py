"""Summaries of readings against pandas, which computes them in another way from the same rows."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.aggregates.days import DAY_MS, Due, parts_of
from cloud.aggregates.schema import SUMMARIES
from cloud.aggregates.series import series_rows

BERLIN = "Europe/Berlin"
MARCH = date(2026, 3, 28)  # the next night has one hour less in Berlin
OCTOBER = date(2026, 10, 24)  # and the next night one hour more


def at(day, hour=0.0):
    since = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)
    return round(since.timestamp() * 1000)


def table(rows):
    """Rows (signal, at_ms, value, calibration), numbered in their order."""
    names = ("signal", "at_ms", "seq", "value", "calibration", "is_sample")
    types = (pa.string(), pa.int64(), pa.int64(), pa.float64(), pa.string(), pa.bool_())
    cells = [(s, a, n, v, c, True) for n, (s, a, v, c) in enumerate(rows)]
    columns = list(zip(*cells, strict=True)) or [()] * len(names)
    made = pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})
    return made.sort_by([("at_ms", "ascending"), ("seq", "ascending")])


def part_of(days, zone=None):
    (part,) = parts_of((Due("gw-1", day) for day in days), {"gw-1": zone} if zone else {}, 0)
    return part


def found(rows, days, zone=None):
    made = series_rows(table(rows), part_of(days, zone))
    assert made.schema.equals(SUMMARIES)
    return made.to_pandas()


def of_level(frame, level):
    return frame[frame.level == level].reset_index(drop=True)


def readings(day, minutes, *, value=lambda n: 20 + n % 7, count=None, signal="a/temperature"):
    count = count or 1440 // minutes
    return [(signal, at(day, n * minutes / 60), float(value(n)), None) for n in range(count)]


def test_a_whole_day_has_full_coverage_and_its_figures():
    rows = readings(MARCH, 10)
    day = of_level(found(rows, [MARCH]), "day").iloc[0]
    values = [row[2] for row in rows]
    assert (day.values_total, day.unusable_total, day.coverage_ratio) == (144, 0, 1.0)
    assert (day.lowest, day.highest, day["last"]) == (min(values), max(values), values[-1])
    assert day["mean"] == pytest.approx(sum(values) / 144, rel=1e-12)
    assert day.last_at == pd.Timestamp(rows[-1][1], unit="ms", tz="UTC")
    assert day.length_s == 86_400


def test_slow_signals_have_no_minutes_and_fast_ones_have():
    assert not len(of_level(found(readings(MARCH, 1, count=90), [MARCH]), "minute"))
    fast = [("a/temperature", at(MARCH) + 10_000 * n, 20.0, None) for n in range(90)]
    minutes = of_level(found(fast, [MARCH]), "minute")
    assert minutes.values_total.tolist() == [6] * 15
    assert minutes.coverage_ratio.tolist() == [1.0] * 14 + [pytest.approx(5 / 6)]


def test_a_gap_of_two_hours_takes_its_part_of_hour_and_day():
    rows = [r for r in readings(MARCH, 10) if not at(MARCH, 6.4) < r[1] < at(MARCH, 8.4)]
    made = found(rows, [MARCH])
    # the gap begins with the reading at 06:20 and ends with that at 08:30
    hours = of_level(made, "hour").set_index("begin_at").coverage_ratio
    assert len(hours) == 23
    assert hours[pd.Timestamp(at(MARCH, 6), unit="ms", tz="UTC")] == pytest.approx(1 / 3)
    assert hours[pd.Timestamp(at(MARCH, 8), unit="ms", tz="UTC")] == pytest.approx(1 / 2)
    day = of_level(made, "day").iloc[0]
    assert day.coverage_ratio == pytest.approx(1 - 130 / 1440)


def test_one_late_sample_is_no_gap_and_a_quiet_evening_is_one():
    rows = [r for r in readings(MARCH, 10) if r[1] != at(MARCH, 5)]
    assert of_level(found(rows, [MARCH]), "day").coverage_ratio.tolist() == [1.0]
    rows = [r for r in rows if r[1] <= at(MARCH, 18)]
    assert of_level(found(rows, [MARCH]), "day").coverage_ratio.tolist() == [pytest.approx(0.75)]


def test_readings_without_a_usable_value_count_and_cover_nothing():
    rows = [("a/humidity", at(MARCH, n / 6), None, None) for n in range(144)]
    made = found(rows, [MARCH])
    day = of_level(made, "day").iloc[0]
    assert (day.values_total, day.unusable_total, day.coverage_ratio) == (0, 144, 0.0)
    assert made[["lowest", "mean", "highest", "last"]].isna().all(axis=None)
    assert made.last_at.isna().all()


def test_one_reading_covers_nothing_and_is_a_row():
    day = of_level(found([("a/humidity", at(MARCH, 3), 50.0, None)], [MARCH]), "day").iloc[0]
    assert (day.values_total, day["mean"], day.coverage_ratio) == (1, 50.0, 0.0)


def test_local_days_have_23_and_25_hours_when_clocks_change():
    for day, hours in ((MARCH, 23), (OCTOBER, 25)):
        after = day + timedelta(days=1)
        rows = [r for n in range(-1, 3) for r in readings(day + timedelta(days=n), 30)]
        days = of_level(found(rows, [after], BERLIN), "site_day").set_index("event_day")
        assert days.length_s[after] == hours * 3600
        assert days.values_total[after] == 2 * hours
        assert days.coverage_ratio[after] == 1.0
        # the UTC day ends within the next local day
        assert list(days.index) == [after, after + timedelta(days=1)]


def test_the_calibration_of_a_day_is_that_of_its_last_reading():
    rows = [
        ("a/temperature", at(MARCH, n), 20.0, name) for n, name in enumerate((None, "c-1", "c-2"))
    ]
    assert of_level(found(rows, [MARCH]), "day").calibration.tolist() == ["c-2"]
    assert of_level(found(rows[:1], [MARCH]), "day").calibration.tolist() == [None]


def test_thinned_extremes_are_no_samples():
    rows = table(readings(MARCH, 10))
    flags = pa.array([n % 3 == 1 for n in range(144)])
    rows = rows.set_column(rows.column_names.index("is_sample"), "is_sample", flags)
    day = of_level(series_rows(rows, part_of([MARCH])).to_pandas(), "day").iloc[0]
    assert day.values_total == 48


def kinetic(values):
    """USP <1079.2>, as it is written there, in Python's floats."""
    mean = math.fsum(math.exp(-83.144 / (0.0083144 * (v + 273.15))) for v in values) / len(values)
    return 83.144 / 0.0083144 / -math.log(mean) - 273.15


def test_mean_kinetic_temperature():
    values = [20.0] * 143 + [40.0]
    rows = readings(MARCH, 10, value=lambda n: values[n])
    day = of_level(found(rows, [MARCH]), "day").iloc[0]
    assert day.mean_kinetic_temperature == pytest.approx(kinetic(values), abs=1e-9)
    assert day.mean_kinetic_temperature > day["mean"]
    damp = found(readings(MARCH, 10, signal="a/humidity"), [MARCH])
    assert damp.mean_kinetic_temperature.isna().all()


def test_mean_kinetic_temperature_of_impossible_cold_is_finite_or_absent():
    cold = found([("a/temperature", at(MARCH, n), -272.0, None) for n in range(9)], [MARCH])
    assert of_level(cold, "day").mean_kinetic_temperature.tolist() == [pytest.approx(-272.0)]
    none = found([("a/temperature", at(MARCH, n), -300.0, None) for n in range(9)], [MARCH])
    assert none.mean_kinetic_temperature.isna().all()


# any readings


def covered(times, begin, end):
    """Minutes outside gaps, minute by minute; all instants are whole minutes here."""
    apart = [b - a for a, b in pairwise(times) if b > a]
    if not apart:
        return set()
    limit = 2.5 * float(np.median(apart))
    inside = set()
    for a, b in zip([begin, *times], [*times, end], strict=True):
        if b - a <= limit:
            inside.update(range(a, b))
    return inside


def expected(rows, level, begin_of, frames):
    """Every figure of one level, by pandas."""
    frame = pd.DataFrame(rows, columns=["signal", "at_ms", "value", "calibration"])
    frame["bin"] = frame.at_ms.map(begin_of)
    for (signal, begin), own in frame.sort_values("at_ms", kind="stable").groupby(
        ["signal", "bin"]
    ):
        usable = own.value.dropna()
        day = next(f for f in frames if f[0] <= begin < f[1])
        end = day[1] if level.endswith("day") else begin + 3_600_000
        mine = frame[(frame.signal == signal) & frame.at_ms.between(day[0], day[1] - 1)]
        times = sorted(mine.at_ms[mine.value.notna()] // 60_000)
        inside = covered(times, day[0] // 60_000, day[1] // 60_000)
        minutes = range(begin // 60_000, end // 60_000)
        yield {
            "signal": signal,
            "begin": begin,
            "values_total": len(usable),
            "unusable_total": len(own) - len(usable),
            "lowest": usable.min(),
            "mean": usable.mean(),
            "highest": usable.max(),
            "last": usable.iloc[-1] if len(usable) else math.nan,
            "coverage": len(inside & set(minutes)) / len(minutes),
            "kinetic": kinetic(usable) if len(usable) and "temp" in signal else math.nan,
        }


def compared(made, level, wanted):
    own = of_level(made, level)
    got = pd.DataFrame(
        {
            "signal": own.sensor_id + "/" + own.quantity,
            "begin": own.begin_at.map(lambda t: round(t.timestamp() * 1000)),
            **{n: own[n] for n in ("values_total", "unusable_total", "lowest", "mean")},
            **{n: own[n] for n in ("highest", "last")},
            "coverage": own.coverage_ratio,
            "kinetic": own.mean_kinetic_temperature,
        }
    )
    order = ["signal", "begin"]
    got = got.sort_values(order).reset_index(drop=True)
    wanted = pd.DataFrame(wanted, columns=got.columns).sort_values(order).reset_index(drop=True)
    pd.testing.assert_frame_equal(got, wanted, check_dtype=False, rtol=1e-9, atol=1e-9)


MINUTES = st.lists(st.integers(-60, 3 * 1440 + 60), max_size=60)


@given(
    minutes=MINUTES,
    nulls=st.integers(1, 5),
    first=st.sampled_from((MARCH, OCTOBER, date(2026, 7, 1))),
    due=st.sets(st.integers(0, 2), min_size=1),
)
@example(minutes=[0, 0, 0], nulls=5, first=MARCH, due={0})
@example(minutes=list(range(0, 4320, 90)), nulls=3, first=OCTOBER, due={0, 1, 2})
def test_every_figure_is_that_of_pandas(minutes, nulls, first, due):
    rows = [
        (
            ("a/temperature", "b/humidity")[n % 2],
            at(first) + minute * 60_000,
            None if n % nulls == 1 else 5.0 + (n * 37) % 23,
            None,
        )
        for n, minute in enumerate(minutes)
    ]
    days = [first + timedelta(days=n) for n in sorted(due)]
    made = found(rows, days, BERLIN)
    utc = [(at(day), at(day) + DAY_MS) for day in days]
    inside = [r for r in rows if any(a <= r[1] < b for a, b in utc)]
    compared(made, "hour", expected(inside, "hour", lambda ms: ms // 3_600_000 * 3_600_000, utc))
    compared(made, "day", expected(inside, "day", lambda ms: ms // DAY_MS * DAY_MS, utc))
    local = local_days(days)
    inside = [r for r in rows if any(a <= r[1] < b for a, b in local)]

    def begin_of(ms):
        return next(a for a, b in local if a <= ms < b)

    compared(made, "site_day", expected(inside, "site_day", begin_of, local))


def local_days(days):
    """Begin and end of each local day that overlaps one of these UTC days, by pandas."""
    hours = [
        pd.Timestamp(at(day) + n * 3_600_000, unit="ms", tz="UTC")
        for day in days
        for n in range(24)
    ]
    names = sorted({hour.tz_convert(BERLIN).date() for hour in hours})
    ends = [
        [pd.Timestamp(day + timedelta(days=n)).tz_localize(BERLIN) for n in (0, 1)] for day in names
    ]
    return [tuple(round(e.timestamp() * 1000) for e in pair) for pair in ends]
