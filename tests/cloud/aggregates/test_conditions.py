"""Summaries of conditions against one replay of everything, which computes every step of a day."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aggregates.conditions import condition_rows, reach_ms_of
from cloud.aggregates.days import DAY_MS, Due, parts_of
from contract.signals import Signal
from models.conditions import Comparison, Condition
from models.derived import Derived
from models.replay import Readings, replay

FIRST = date(2026, 1, 1)
BEGIN = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
WARM = Condition(
    id="warm",
    signal=Signal.parse("a/temperature"),
    comparison=Comparison.ABOVE,
    limit=8.0,
    hysteresis=1.0,
    duration_s=1800,
    step_s=600,
    max_age_s=3600,
)
DEW = Condition(
    id="dew",
    derived=Derived.DEW_POINT_MARGIN,
    temperature=Signal.parse("a/temperature"),
    humidity=Signal.parse("a/humidity"),
    comparison=Comparison.BELOW,
    limit=3.0,
    step_s=900,
    max_age_s=5400,
)


def table(rows):
    names = ("signal", "at_ms", "seq", "value")
    types = (pa.string(), pa.int64(), pa.int64(), pa.float64())
    cells = [(s, a, n, v) for n, (s, a, v) in enumerate(rows)]
    columns = list(zip(*cells, strict=True)) or [()] * len(names)
    made = pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})
    return made.sort_by([("at_ms", "ascending"), ("seq", "ascending")])


def summarized(rows, conditions, *numbers):
    dues = [Due("gw-1", FIRST + timedelta(days=n)) for n in numbers]
    (part,) = parts_of(dues, {}, reach_ms_of(conditions))
    needed = {(day - date(1970, 1, 1)).days for day in part.needed()}
    own = [row for row in rows if row[1] // DAY_MS in needed]
    return condition_rows(table(own), part, conditions).to_pandas()


def warm_hours(values, every_s=600):
    return [("a/temperature", BEGIN + n * every_s * 1000, v) for n, v in enumerate(values)]


def test_seconds_and_degree_minutes_beyond_the_limit():
    rows = warm_hours([7.0] * 6 + [10.0] * 3 + [7.5] * 135)
    made = summarized(rows, (WARM,), 0)
    day = made[made.level == "condition_day"].iloc[0]
    # three steps of ten minutes, each two degrees above
    assert (day.beyond_s, day.degree_minutes, day.values_total) == (1800, 60.0, 144)
    assert (day.lowest, day.highest, day.coverage_ratio) == (7.0, 10.0, 1.0)
    hours = made[made.level == "condition_hour"]
    assert hours.beyond_s.tolist() == [0, 1800, *[0] * 22]


def test_the_limit_itself_is_not_beyond_it():
    made = summarized(warm_hours([8.0] * 144), (WARM,), 0)
    assert made.beyond_s.sum() == 0


def test_a_step_without_a_reading_counts_if_a_reading_follows_soon():
    values = [9.0] * 3
    rows = [*warm_hours(values), ("a/temperature", BEGIN + 4_200_000, 7.0)]
    hours = summarized(rows, (WARM,), 0)
    hour = hours[hours.level == "condition_hour"].iloc[0]
    assert (hour.values_total, hour.beyond_s) == (6, 3600)
    late = [("a/temperature", BEGIN + 36_000_000, 7.0)]
    hours = summarized(warm_hours(values) + late, (WARM,), 0)
    assert hours[hours.level == "condition_hour"].values_total.tolist() == [3, 1]


def test_other_signals_and_no_readings_give_no_rows():
    assert not len(summarized([("b/co2", BEGIN, 400.0)], (WARM, DEW), 0))
    assert not len(summarized([], (WARM,), 0))


READINGS = st.lists(
    st.tuples(
        st.sampled_from(("a/temperature", "a/humidity", "b/co2")),
        st.integers(0, 4 * 1440),
        st.one_of(st.none(), st.integers(0, 20)),
    ),
    max_size=150,
)


def whole(rows, condition, numbers):
    """Steps of some days, from one replay of everything."""
    ordered = sorted(enumerate(rows), key=lambda r: (r[1][1], r[0]))
    values = [np.nan if r[2] is None else r[2] for _, r in ordered]
    readings = Readings.of_rows(
        [Signal.parse(r[0]) for _, r in ordered],
        np.array([r[1] for _, r in ordered], dtype=np.int64),
        np.array(values, dtype=np.float64),
    )
    steps = replay(condition, readings)
    days = (steps.begins_ms - BEGIN) // DAY_MS
    wanted = set(numbers) | {n + d for n in numbers for d in (-1, 1)}
    kept = np.isin(days, list(wanted)) & _answered(steps, readings, condition)
    columns = {"begin": steps.begins_ms, "value": steps.values}  # noqa: PD011 - no data frame
    return pd.DataFrame({name: column[kept] for name, column in columns.items()})


def _answered(steps, readings, condition):
    """Steps that a reading completed, or that have a reading soon after their end."""
    wanted = readings.at_ms[readings.are(_signals(condition))].tolist()
    length, reach = condition.step_s * 1000, (condition.step_s + condition.max_age_s) * 1000
    soon = [
        any(begin + length <= at <= begin + length + reach for at in wanted)
        for begin in steps.begins_ms.tolist()
    ]
    return steps.full | np.array(soon, dtype=bool)


def _signals(condition):
    return (
        (condition.signal,)
        if condition.derived is None
        else (
            condition.temperature,
            condition.humidity,
        )
    )


@given(rows=READINGS, numbers=st.sets(st.integers(0, 3), min_size=1, max_size=3))
def test_days_have_the_steps_of_a_whole_replay(rows, numbers):
    rows = [(s, BEGIN + m * 60_000, v if v is None else v + 1.0) for s, m, v in rows]
    for condition in (WARM, DEW):
        made = summarized(rows, (condition,), *numbers)
        steps = whole(rows, condition, numbers)
        if not len(steps):
            assert not len(made)
            continue
        steps["day"] = steps.begin // DAY_MS
        sign = 1 if condition.comparison is Comparison.ABOVE else -1
        steps["over"] = (sign * (steps.value - condition.limit)).clip(lower=0)
        days = made[made.level == "condition_day"].sort_values("event_day")
        own = steps.groupby("day")
        assert days.values_total.tolist() == own.size().tolist()
        assert (
            days.beyond_s.tolist()
            == (own.over.agg(lambda over: (over > 0).sum()) * condition.step_s).tolist()
        )
        np.testing.assert_allclose(
            days.degree_minutes, own.over.sum() * condition.step_s / 60, atol=1e-9
        )
        np.testing.assert_allclose(days["mean"], own.value.mean(), rtol=1e-12)
        hours = made[made.level == "condition_hour"]
        assert hours.beyond_s.sum() == days.beyond_s.sum()
        assert hours.degree_minutes.sum() == pytest.approx(days.degree_minutes.sum())
