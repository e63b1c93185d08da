"""Named queries on real servers: their rows, and that they use indexes."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from cloud.warehouse import aggregate_tables as summaries
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS, DECISIONS, OUTCOMES
from cloud.warehouse.queries import QUERIES, Asked, ask, sql_of
from cloud.warehouse.tables import FACTS
from cloud.warehouse.views import VIEWS
from contract.errors import ConfigError
from contract.keys import event_day
from contract.records import Kind

pytestmark = pytest.mark.services

NEW_YEAR = 1_356_998_400_000
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
FIRST = date(2013, 1, 1)
DAYS, DEVICES = 40, tuple(f"gw-{n}" for n in range(12))
# Names by which the views call tables that grow with the data.
LARGE = {"a", "p", "o", "e", "fct_loss"}
EXPLAIN = "EXPLAIN FORMAT=TRADITIONAL"  # the default of MySQL 9 is a tree
SIGNAL = {"sensor_id": "air", "quantity": "temperature"}
FIGURES = {
    "values_total": 6,
    "unusable_total": 0,
    **dict.fromkeys(("lowest", "mean", "highest", "last"), 20.0),
    "coverage_ratio": 1.0,
}
STEPS = {"steps_total": 6, "beyond_s": 600, "degree_minutes": 5.0, "coverage_ratio": 1.0}


def signals(device_id, day):
    at = NEW_YEAR + day * DAY_MS
    when = {"device_id": device_id, "event_day": event_day(at)}
    for hour in range(24):
        yield summaries.HOURS, when | SIGNAL | FIGURES | {"begin_at": at + hour * HOUR_MS}
    local = {"begin_at": at, "length_s": 86_400}
    for calendar in ("utc", "site") if device_id == "gw-1" else ("utc",):
        cells = {"calendar": calendar, "last_at": at + DAY_MS - 1}
        yield summaries.DAYS, when | SIGNAL | FIGURES | local | cells
    yield summaries.CONDITION_DAYS, when | STEPS | {"condition_id": "damp"}


def events(device_id, day):
    at = NEW_YEAR + day * DAY_MS
    common = {"device_id": device_id, "stream_id": "a" * 13, "offset_ms": 0, "received_at": at}
    model = {"condition_id": "damp", "model": "m", "version": "1", "horizon_s": 3600}
    for hour in range(0, 24, 4):
        issued = at + hour * HOUR_MS
        own = common | {"seq": day * 100 + hour, "event_day": event_day(at), "observed_at": issued}
        forecast = model | {"probability": 0.5}
        yield FACTS[Kind.PREDICTION], own | forecast | {"origin": "edge", "mode": "active"}
        key = {"device_id": device_id, "issued_at": issued}
        cloud = key | {"stream_id": "a" * 13, "seq": own["seq"], "late": False}
        yield CLOUD_PREDICTIONS, forecast | cloud
        for origin in ("edge", "cloud"):
            yield OUTCOMES, forecast | key | {"origin": origin, "onset": hour == 4}
    lost = {"reason": "budget", "seq": day * 100 + 99, "event_day": event_day(at)}
    yield FACTS[Kind.LOSS], common | lost | {"observed_at": at}
    figures = {"peak": 9.0, "peak_at": at, "mean": 8.5, "causes": ""}
    excursion = {"condition_id": "damp", "began_at": at, "ended_at": at + HOUR_MS}
    counts = {"steps_total": 6, "beyond_s": 3600, "degree_minutes": 60.0}
    yield summaries.EXCURSIONS, {"device_id": device_id} | excursion | figures | counts


def dimensions():
    ends = {"first_day": FIRST, "last_day": FIRST + timedelta(days=DAYS - 1)}
    yield summaries.DIM_SITES, {"site_id": "mill", "time_zone": "Europe/Berlin"}
    for device_id in DEVICES:
        site_id = "mill" if device_id == "gw-1" else None
        yield summaries.DIM_DEVICES, {"device_id": device_id, "site_id": site_id} | ends
        yield summaries.DIM_SENSORS, {"device_id": device_id, "unit": "°C"} | SIGNAL | ends
    limits = {"comparison": "above", "limit_value": 8.0, "hysteresis": 0.0, "warn_at": 0.5}
    spans = dict.fromkeys(("duration_s", "horizon_s", "step_s", "max_age_s"), 600)
    names = {"condition_id": "damp", "signal": "air/temperature", "unit": "°C", "declaration": "x"}
    yield summaries.DIM_CONDITIONS, names | limits | spans
    cycle = {"cycle_at": NEW_YEAR + 3 * DAY_MS, "condition_id": "damp", "decision": "baseline"}
    yield DECISIONS, cycle | {"event_weeks": 1, "windows_total": 9, "reason": "first"}


@pytest.fixture
def filled(warehouse):
    rows = {}
    days = [(d, n) for d in DEVICES for n in range(DAYS)]
    every = [*dimensions(), *(r for d in days for r in (*signals(*d), *events(*d)))]
    for table, row in every:
        rows.setdefault(table, []).append(row)
    with warehouse.begin() as connection:
        for table, own in rows.items():
            connection.execute(table.insert(), own)
    with warehouse.connect() as connection:  # or the planner knows nothing of these rows
        connection.execute(text(f"ANALYZE TABLE {', '.join(t.name for t in rows)}"))
        connection.commit()
    return warehouse


def asked(device_id=None, first=10, last=16):
    days = (FIRST + timedelta(days=n) for n in (first, last))
    return Asked(**dict(zip(("first_day", "last_day"), days, strict=True)), device_id=device_id)


WEEK = {
    "latest": 12,
    "hourly": 12 * 7 * 24,
    "daily": 12 * 7,
    "conditions": 12 * 7,
    "excursions": 12 * 7,
    "forecasts": 12 * 7 * 12,
    "losses": 12 * 7,
    "decisions": 0,
}


def test_queries_have_the_rows_of_their_days_and_devices_and_use_indexes(filled):
    assert set(WEEK) == set(QUERIES)
    assert {q.view for q in QUERIES.values()} <= {v.name for v in VIEWS}
    for query in QUERIES.values():
        assert len(ask(filled, query, asked()).rows) == WEEK[query.name], query.name
        # A planner may rightly read a small table as a whole for a sixth of its rows.
        assert scanned(filled, query, asked(first=10, last=10)) == [], query.name
        if query.by_device:
            rows = ask(filled, query, asked("gw-1")).rows
            assert len(rows) == WEEK[query.name] / len(DEVICES), query.name
            assert scanned(filled, query, asked("gw-1")) == [], query.name
    assert len(ask(filled, QUERIES["decisions"], asked(first=3, last=3)).rows) == 1


def scanned(engine, query, wanted):
    """Large tables that the planner would read whole."""
    statement, values = sql_of(query, wanted)
    with engine.connect() as connection:
        plan = connection.execute(text(f"{EXPLAIN} {statement}"), values).mappings().all()
    seen = {row["table"] for row in plan}
    assert seen & LARGE or query.name == "decisions", plan
    return [
        dict(row)
        for row in plan
        if row["table"] in LARGE and (row["type"] in ("ALL", "index") or row["key"] is None)
    ]


def test_a_scan_is_seen(filled):
    query = QUERIES["hourly"]
    every = asked(first=0, last=DAYS)
    object.__setattr__(every, "first_day", date(1, 1, 1))
    with filled.connect() as connection:
        plan = connection.execute(text(f"{EXPLAIN} SELECT * FROM agg_hour AS a")).mappings().all()
    assert plan[0]["type"] == "ALL"
    assert len(ask(filled, query, every).rows) == 12 * DAYS * 24


def test_the_daily_view_has_local_days_for_devices_of_sites(filled):
    answer = ask(filled, QUERIES["daily"], asked("gw-1"))
    row = dict(zip(answer.columns, answer.rows[0], strict=True))
    assert (row["site_id"], row["time_zone"], row["unit"]) == ("mill", "Europe/Berlin", "°C")
    answer = ask(filled, QUERIES["daily"], asked("gw-2"))
    assert len(answer.rows) == 7
    assert answer.rows[0][1] is None


def test_forecasts_have_their_outcomes(filled):
    answer = ask(filled, QUERIES["forecasts"], asked("gw-3", 2, 2))
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    assert {(r["origin"], r["onset"]) for r in rows} == {
        (origin, onset) for origin in ("edge", "cloud") for onset in (0, 1)
    }
    with filled.begin() as connection:
        connection.execute(OUTCOMES.delete())
    answer = ask(filled, QUERIES["forecasts"], asked("gw-3", 2, 2))
    assert {dict(zip(answer.columns, r, strict=True))["onset"] for r in answer.rows} == {None}


def test_a_query_without_devices_refuses_one(filled):
    with pytest.raises(ConfigError, match="leave out --device"):
        ask(filled, QUERIES["decisions"], asked("gw-1"))


def test_every_view_can_be_read_while_empty(warehouse):
    with warehouse.connect() as connection:
        for view in VIEWS:
            assert connection.execute(text(f"SELECT * FROM {view.name}")).all() == []
        assert connection.execute(select(summaries.DUE)).all() == []
