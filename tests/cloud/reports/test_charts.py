"""What charts draw: the series against SQL, and the marks against the series."""

import math
import re
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from sqlalchemy import text

from cloud.monitoring.alerts import AlertCounts
from cloud.reports.charts import (
    PALETTE,
    Frame,
    Size,
    Timeline,
    day_number,
    draw_reliability,
    draw_timeline,
)
from cloud.reports.device_history import held
from cloud.reports.queries import collect
from cloud.reports.report import Bin, DeviceReport, ForecastDay, Point, TruthInterval

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NEW_YEAR = 1_356_998_400_000
NONE = AlertCounts(
    observed=0, forecast=0, hits=0, false_alarms=0, undecided=0, misses=0, unforeseeable=0
)
FRAME = Frame(
    from_at=NEW_YEAR, until_at=NEW_YEAR + 10 * DAY_MS, lowest=0.0, highest=10.0, share=0.5
)


def timeline(points=(), truth=(), days=(), unit="K"):
    device = DeviceReport(
        device_id="gw-1",
        held=held(truth, None),
        alerts=NONE,
        forecasts=(),
        truth=truth,
        signal=points,
        days=days,
    )
    return Timeline(device=device, unit=unit, limit=3.0, frame=FRAME)


def point(day, value=5.0):
    return Point(at=NEW_YEAR + day * DAY_MS, lowest=value - 1, mean=value, highest=value + 1)


def drawn(line, alt="what it shows"):
    return ET.fromstring(draw_timeline(line, Size(500, 300), alt).replace("xlink:href", "href"))


def paths(svg, colour, style="fill: "):
    wanted = f"{style}var(--{colour}, {PALETTE[colour]})"
    return [p for p in svg.iter("path") if wanted in p.get("style", "")] + [
        p for p in svg.iter("use") if wanted in p.get("style", "")
    ]


def test_each_interval_is_shaded_and_marked_in_the_strip():
    truth = tuple(
        TruthInterval(began_at=NEW_YEAR + n * DAY_MS, ended_at=NEW_YEAR + n * DAY_MS + HOUR_MS)
        for n in range(4)
    )
    with_truth, without = (drawn(timeline((point(0), point(1)), t)) for t in (truth, ()))
    assert len(paths(with_truth, "held")) - len(paths(without, "held")) == 2 * len(truth)


def test_an_open_interval_is_shaded_to_the_right_end():
    open_end = (TruthInterval(began_at=NEW_YEAR + 5 * DAY_MS, ended_at=None),)
    svg = drawn(timeline((), open_end))
    (used,) = [u for u in paths(svg, "held") if "opacity" in u.get("style")]
    (shape,) = [p for p in svg.iter("path") if f"#{p.get('id')}" == used.get("href")]
    offsets = re.findall(r"[ML] ?(-?[\d.]+)", shape.get("d"))
    xs = [float(used.get("x")) + float(x) for x in offsets]
    left, right = 34, 496  # the margins of a chart 500 px wide
    assert min(xs) == pytest.approx((left + right) / 2, abs=0.1)
    assert max(xs) == pytest.approx(right, abs=0.1)


def test_no_line_crosses_days_without_a_value():
    whole = drawn(timeline(tuple(point(n) for n in range(6))))
    broken = drawn(timeline(tuple(point(n) for n in (0, 1, 4, 5))))
    lines = [len(paths(svg, "measured", "stroke: ")) for svg in (whole, broken)]
    assert lines[1] == lines[0] + 1


def test_both_forecasts_and_the_share_are_drawn():
    days = tuple(
        ForecastDay(day=day, origin=origin, mean_probability=0.2, onset_share=0.4)
        for day in (date_of(1), date_of(2))
        for origin in ("cloud", "edge")
    )
    svg = drawn(timeline((point(0), point(1)), (), days))
    assert len(paths(svg, "edge", "stroke: ")) == 1
    (cloud,) = paths(svg, "cloud", "stroke: ")
    assert "stroke-dasharray" in cloud.get("style")
    assert "no judged forecasts yet" not in "".join(svg.itertext())


def date_of(number):
    return date(2013, 1, 1) + timedelta(days=number)


def test_days_without_forecasts_are_told():
    assert "no judged forecasts yet" in "".join(drawn(timeline((point(0),))).itertext())


def test_texts_are_texts_escaped_and_no_formulas():
    svg = drawn(timeline((point(0),), unit="<b> & $x$ of air"), alt='a "<b>" & more')
    assert "<b> & $x$ of air" in "".join(svg.itertext())
    assert svg.get("aria-label") == 'a "<b>" & more'
    assert svg.get("role") == "img"


def test_nothing_global_changes_and_two_drawings_are_equal():
    before = dict(mpl.rcParams)
    bins = [Bin(origin="edge", bin=1, outcomes_total=9, mean_probability=0.1, onset_share=0.2)]
    one, two = (draw_reliability(bins, Size(300, 300), "a chart") for _ in range(2))
    assert one == two
    assert dict(mpl.rcParams) == before
    assert draw_reliability(bins, Size(300, 300), "another") != one


def test_charts_share_no_id_that_another_refers_to():
    texts = [draw_timeline(timeline((point(0),)), Size(500, h), "alt") for h in (300, 301)]
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in texts]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip(texts, ids, strict=True):
        assert set(re.findall(r"#([a-z][\w]{9,})", svg)) <= own


@pytest.mark.services
def test_days_of_forecasts_are_those_of_sql(seeded, conditions, written_at):
    report = collect(seeded, conditions, written_at)
    query = """
        SELECT DATE(issued_at), origin, AVG(probability), SUM(onset) / 1e0 / COUNT(*) FROM outcome
        WHERE device_id = :device AND condition_id = :condition GROUP BY 1, 2 ORDER BY 1, 2
    """
    for condition in report.conditions:
        for device in condition.devices:
            names = {"device": device.device_id, "condition": condition.declared.id}
            with seeded.connect() as connection:
                rows = connection.execute(text(query), names).all()
            days = [(d.day, d.origin, d.mean_probability, d.onset_share) for d in device.days]
            assert len(days) == len(rows)
            for mine, row in zip(days, rows, strict=True):
                assert mine == (*row[:2], *(pytest.approx(float(v)) for v in row[2:]))


@pytest.mark.services
def test_the_signal_is_that_of_sql(seeded, conditions, written_at):
    margin, humidity = (
        {d.device_id: d.signal for d in c.devices}
        for c in collect(seeded, conditions, written_at).conditions
    )
    fit = """
        FROM fct_reading WHERE device_id = 'gw-1' AND quality <> 'bad' AND value IS NOT NULL
        AND observed_at IS NOT NULL
    """
    by_day = f"""
        SELECT event_day, MIN(value), AVG(value), MAX(value) {fit} AND quantity = 'humidity'
        GROUP BY 1 ORDER BY 1
    """
    hours = f"""
        SELECT t.at, t.value, h.value FROM
        (SELECT DATE_FORMAT(observed_at, '%Y-%m-%d %H') AS at, value {fit}
         AND quantity = 'temperature') t JOIN
        (SELECT DATE_FORMAT(observed_at, '%Y-%m-%d %H') AS at, value {fit}
         AND quantity = 'humidity') h ON h.at = t.at WHERE h.value > 0 ORDER BY 1
    """
    with seeded.connect() as connection:
        days = connection.execute(text(by_day)).all()
        pairs = connection.execute(text(hours)).all()
    assert [day_of(p) for p in humidity["gw-1"]] == [row[0] for row in days]
    for mine, row in zip(humidity["gw-1"], days, strict=True):
        assert (mine.lowest, mine.mean, mine.highest) == pytest.approx([float(v) for v in row[1:]])
    lowest = min(t - dew_point(t, h) for _, t, h in pairs)
    assert min(p.lowest for p in margin["gw-1"]) == pytest.approx(lowest)
    assert len({at[:10] for at, _, _ in pairs}) == len(margin["gw-1"])
    assert humidity["gw-3"] == ()


def day_of(point_):
    return date_of((point_.at - NEW_YEAR) // DAY_MS)


def dew_point(temperature, humidity):
    # Magnus as WMO-No. 8 has it, solved for the dew point through the vapour pressure in hPa
    pressure = humidity / 100 * 6.112 * math.exp(17.62 * temperature / (243.12 + temperature))
    return 243.12 * math.log(pressure / 6.112) / (17.62 - math.log(pressure / 6.112))


def test_days_are_counted_from_1970():
    assert day_number(date_of(0)) == NEW_YEAR // DAY_MS
