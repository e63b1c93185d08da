"""Every figure on the page against SQL that was written by hand, and that knows no Python of ours.

A query gives a key and named columns: column `times` of key `held.damp.gw-1` must be the figure
`held.damp.gw-1.times`. A figure without a query fails, and so does a query without a figure.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from sqlalchemy import text

from cloud.reports.device_history import held
from cloud.reports.page import render
from cloud.reports.queries import collect
from cloud.reports.report import TruthInterval
from cloud.warehouse.model_tables import MODELS

pytestmark = pytest.mark.services

HOUR_MS = 3_600_000

CONDITIONS = """
    SELECT 'condensation' AS id, 'temperature' AS quantity, 21600 AS horizon_s
    UNION ALL SELECT 'damp', 'humidity', 10800
"""
PLACES = f"""
    SELECT DISTINCT c.id, c.horizon_s, d.device_id
    FROM ({CONDITIONS}) c
    JOIN (
        SELECT device_id, quantity AS what FROM fct_reading WHERE sensor_id = 'air'
        UNION SELECT device_id, condition_id FROM truth
        UNION SELECT device_id, condition_id FROM fct_alert
    ) d ON d.what IN (c.quantity, c.id)
"""
HIT = """
    EXISTS (
        SELECT 1 FROM truth t
        WHERE t.device_id = a.device_id AND t.condition_id = a.condition_id
          AND t.began_at > a.observed_at
          AND t.began_at <= a.observed_at + INTERVAL p.horizon_s SECOND
    )
"""
KNOWN = """
    (SELECT MAX(at) FROM (
        SELECT device_id, condition_id, issued_at + INTERVAL horizon_s SECOND AS at FROM outcome
        UNION ALL SELECT device_id, condition_id, began_at FROM truth
        UNION ALL SELECT device_id, condition_id, ended_at FROM truth
    ) k WHERE k.device_id = a.device_id AND k.condition_id = a.condition_id)
"""
FIRST = """
    (SELECT MIN(observed_at) FROM fct_prediction f
     WHERE f.device_id = p.device_id AND f.condition_id = p.id AND f.origin = 'edge')
"""
WARNED = """
    EXISTS (
        SELECT 1 FROM fct_alert a
        WHERE a.device_id = t.device_id AND a.condition_id = t.condition_id
          AND a.basis = 'forecast' AND a.state = 'raised'
          AND a.observed_at < t.began_at
          AND a.observed_at >= t.began_at - INTERVAL p.horizon_s SECOND
    )
"""
MS = "ROUND(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', cycle_at) / 1000)"
NUMBERS = """
    whole AS (SELECT 1 AS number UNION ALL SELECT number + 1 FROM whole WHERE number < 1000),
    arrived AS (
        SELECT DISTINCT device_id, stream_id, number FROM ledger_delivery
        JOIN whole ON number BETWEEN first_seq AND last_seq
    ),
    lost AS (
        SELECT DISTINCT device_id, lost_stream_id AS stream_id, number FROM ledger_loss
        JOIN whole ON number BETWEEN lost_first AND lost_last
        WHERE (device_id, lost_stream_id, number) NOT IN (SELECT * FROM arrived)
    ),
    spans AS (
        SELECT h.device_id, s.stream_id, s.first, s.last FROM ledger_held h,
        JSON_TABLE(h.spans, '$[*]' COLUMNS (
            stream_id VARCHAR(13) PATH '$[0]', first INT PATH '$[1]', last INT PATH '$[2]'
        )) s
        WHERE h.seq = (SELECT MAX(seq) FROM ledger_held i WHERE i.device_id = h.device_id)
    ),
    held AS (
        SELECT DISTINCT device_id, stream_id, number FROM spans
        JOIN whole ON number BETWEEN first AND last
        WHERE (device_id, stream_id, number) NOT IN (SELECT * FROM arrived)
          AND (device_id, stream_id, number) NOT IN (SELECT * FROM lost)
    ),
    claims AS (
        SELECT device_id, stream_id, MAX(last) AS last FROM (
            SELECT device_id, stream_id, last_seq AS last FROM ledger_delivery
            UNION ALL SELECT device_id, lost_stream_id, lost_last FROM ledger_loss
            UNION ALL SELECT device_id, stream_id, last FROM spans
            UNION ALL SELECT device_id, previous_stream_id, previous_last FROM ledger_stream
        ) c WHERE stream_id IS NOT NULL GROUP BY device_id, stream_id
    ),
    doubled AS (
        SELECT device_id, stream_id, number FROM ledger_delivery
        JOIN whole ON number BETWEEN first_seq AND last_seq
        GROUP BY device_id, stream_id, number HAVING COUNT(DISTINCT first_seq, last_seq, digest) > 1
    ),
    blocks AS (
        SELECT device_id, COUNT(*) AS deliveries,
               COUNT(DISTINCT stream_id, first_seq, last_seq, digest) AS distinct_blocks
        FROM ledger_delivery GROUP BY device_id
    ),
    ends AS (
        SELECT device_id, stream_id, MAX(number) AS last FROM arrived GROUP BY device_id, stream_id
    ),
    forks AS (
        SELECT device_id FROM ledger_stream
        GROUP BY device_id, previous_stream_id HAVING COUNT(DISTINCT stream_id) > 1
        UNION ALL
        SELECT s.device_id FROM ledger_stream s JOIN ends e
          ON e.device_id = s.device_id AND e.stream_id = s.previous_stream_id
        WHERE s.previous_last < e.last
    ),
    account AS (
        SELECT b.device_id,
            (SELECT COUNT(*) FROM arrived x WHERE x.device_id = b.device_id) AS `stored`,
            (SELECT COUNT(*) FROM lost x WHERE x.device_id = b.device_id) AS lost,
            (SELECT COUNT(*) FROM held x WHERE x.device_id = b.device_id) AS held,
            (SELECT SUM(last) FROM claims x WHERE x.device_id = b.device_id)
              - (SELECT COUNT(*) FROM arrived x WHERE x.device_id = b.device_id)
              - (SELECT COUNT(*) FROM lost x WHERE x.device_id = b.device_id)
              - (SELECT COUNT(*) FROM held x WHERE x.device_id = b.device_id) AS unexplained,
            (SELECT COUNT(*) FROM doubled x WHERE x.device_id = b.device_id) AS doubled,
            b.distinct_blocks AS blocks,
            b.deliveries - b.distinct_blocks AS repeated,
            (SELECT COUNT(*) FROM forks x WHERE x.device_id = b.device_id) AS forks,
            (SELECT COUNT(*) FROM ledger_loss x
             WHERE x.device_id = b.device_id AND lost_stream_id IS NULL) AS unclean_stops
        FROM blocks b
    )
"""
SUMS = ", ".join(
    f"SUM(`{name}`) AS `{name}`"
    for name in (
        *("stored", "lost", "held", "unexplained", "doubled"),
        *("blocks", "repeated", "forks", "unclean_stops"),
    )
)
ALERTS = f"""
    SELECT CONCAT('alerts.', p.id, '.', p.device_id) AS figure,
        (SELECT COUNT(*) FROM fct_alert a WHERE a.device_id = p.device_id AND a.condition_id = p.id
         AND a.state = 'raised' AND a.basis = 'observed') AS observed,
        (SELECT COUNT(*) FROM fct_alert a WHERE a.device_id = p.device_id AND a.condition_id = p.id
         AND a.state = 'raised' AND a.basis = 'forecast') AS forecast,
        (SELECT COUNT(*) FROM fct_alert a WHERE a.device_id = p.device_id AND a.condition_id = p.id
         AND a.state = 'raised' AND a.basis = 'forecast' AND {HIT}) AS hits,
        (SELECT COUNT(*) FROM fct_alert a WHERE a.device_id = p.device_id AND a.condition_id = p.id
         AND a.state = 'raised' AND a.basis = 'forecast' AND NOT {HIT}
         AND a.observed_at + INTERVAL p.horizon_s SECOND <= {KNOWN}) AS false_alarms,
        (SELECT COUNT(*) FROM fct_alert a WHERE a.device_id = p.device_id AND a.condition_id = p.id
         AND a.state = 'raised' AND a.basis = 'forecast' AND (a.observed_at IS NULL
         OR (NOT {HIT} AND a.observed_at + INTERVAL p.horizon_s SECOND > {KNOWN}))) AS undecided,
        (SELECT COUNT(*) FROM truth t WHERE t.device_id = p.device_id AND t.condition_id = p.id
         AND t.began_at > {FIRST} AND NOT {WARNED}) AS misses,
        (SELECT COUNT(*) FROM truth t WHERE t.device_id = p.device_id AND t.condition_id = p.id
         AND ({FIRST} IS NULL OR t.began_at <= {FIRST})) AS unforeseeable
    FROM ({PLACES}) p
"""
# An open interval is counted up to the newest cycle or reading, whichever is earlier.
CYCLE = "(SELECT MAX(cycle_at) FROM monitoring m WHERE m.condition_id = p.id)"
READ = "(SELECT MAX(observed_at) FROM fct_reading r WHERE r.device_id = p.device_id)"
OPEN_END = f"COALESCE(LEAST({CYCLE}, {READ}), {CYCLE}, {READ}, began_at)"
END = f"COALESCE(ended_at, GREATEST(began_at, {OPEN_END}))"
FORECASTS = f"""
    SELECT CONCAT('forecasts.', p.id, '.', p.device_id, '.edge') AS figure,
        (SELECT COUNT(*) FROM fct_prediction f WHERE f.device_id = p.device_id
         AND f.condition_id = p.id AND f.origin = 'edge') AS issued,
        NULL AS late,
        COUNT(o.onset) AS judged,
        AVG(o.probability) AS mean_probability,
        SUM(o.onset) / 1e0 / COUNT(o.onset) AS onset_share
    FROM ({PLACES}) p LEFT JOIN outcome o
      ON o.device_id = p.device_id AND o.condition_id = p.id AND o.origin = 'edge'
    WHERE p.device_id <> 'gw-3' GROUP BY p.id, p.device_id
    UNION ALL
    SELECT CONCAT('forecasts.', p.id, '.', p.device_id, '.cloud'),
        (SELECT COUNT(*) FROM cloud_prediction f WHERE f.device_id = p.device_id
         AND f.condition_id = p.id),
        (SELECT SUM(late) FROM cloud_prediction f WHERE f.device_id = p.device_id
         AND f.condition_id = p.id),
        COUNT(o.onset), AVG(o.probability), SUM(o.onset) / 1e0 / COUNT(o.onset)
    FROM ({PLACES}) p LEFT JOIN outcome o
      ON o.device_id = p.device_id AND o.condition_id = p.id AND o.origin = 'cloud'
    WHERE p.device_id <> 'gw-3' GROUP BY p.id, p.device_id
"""
QUERIES = {
    "period": """
        SELECT 'period' AS figure, DATE(MIN(observed_at)) AS first_day,
               DATE(MAX(observed_at)) AS last_day FROM fct_reading
    """,
    "glance": f"""
        SELECT 'glance' AS figure,
            (SELECT COUNT(*) FROM fct_reading) AS readings,
            (SELECT COUNT(DISTINCT device_id) FROM fct_reading) AS devices,
            (SELECT COUNT(*) FROM fct_prediction) AS edge_forecasts,
            (SELECT COUNT(*) FROM cloud_prediction) AS cloud_forecasts,
            (SELECT COUNT(*) FROM outcome) AS judged,
            (SELECT SUM(observed) FROM ({ALERTS}) a) AS observed,
            (SELECT SUM(hits) FROM ({ALERTS}) a) AS hits,
            (SELECT SUM(misses) FROM ({ALERTS}) a) AS misses,
            (SELECT SUM(false_alarms) FROM ({ALERTS}) a) AS false_alarms
    """,
    "unexplained": f"""
        WITH RECURSIVE {NUMBERS}
        SELECT 'glance' AS figure, SUM(unexplained) AS unexplained FROM account
    """,
    "held": f"""
        SELECT CONCAT('held.', p.id, '.', p.device_id) AS figure, COUNT(t.began_at) AS times,
            COALESCE(SUM(TIMESTAMPDIFF(MICROSECOND, began_at, {END})) / 3.6e9, 0) AS hours,
            MAX(TIMESTAMPDIFF(MICROSECOND, began_at, {END})) / 3.6e9 AS longest_h,
            MAX(IF(t.ended_at IS NULL, t.began_at, NULL)) AS since
        FROM ({PLACES}) p
        LEFT JOIN truth t ON t.device_id = p.device_id AND t.condition_id = p.id
        GROUP BY p.id, p.device_id
    """,
    "alerts": ALERTS,
    "forecasts": FORECASTS,
    "monitoring": """
        SELECT CONCAT('monitoring.', condition_id, '.', IF(device_id = '', 'all', device_id), '.',
                      IF(origin = '', 'all', origin)) AS figure,
            outcomes_total, onsets_total, event_weeks, brier, brier_baseline, drift_psi,
            skill, IF(skill IS NULL, 'absent', skill_low) AS skill_low,
            IF(skill IS NULL, 'absent', skill_high) AS skill_high,
            IF(retrain, 'yes', 'no') AS retrain, reason, suspect_limits, suspect
        FROM monitoring m
        WHERE cycle_at = (SELECT MAX(cycle_at) FROM monitoring n
                          WHERE n.condition_id = m.condition_id)
    """,
    "monitored": """
        SELECT CONCAT('monitoring.', condition_id) AS figure, MAX(cycle_at) AS cycle_at
        FROM monitoring GROUP BY condition_id
    """,
    "reliability": """
        SELECT CONCAT('reliability.', condition_id, '.', origin, '.', bin) AS figure,
            bin, outcomes_total, mean_probability, onset_share
        FROM reliability WHERE outcomes_total <> 0
        AND cycle_at = (SELECT MAX(cycle_at) FROM reliability)
    """,
    "decision": f"""
        SELECT CONCAT('decision.', condition_id, '.', {MS}) AS figure, cycle_at, candidate,
            brier_baseline, brier_model, skill, IF(skill IS NULL, 'absent', skill_low) AS skill_low,
            IF(skill IS NULL, 'absent', skill_high) AS skill_high, event_weeks, windows_total,
            decision, reason, model, IF(version IS NULL, 'absent', version) AS version
        FROM decision
    """,
    "candidate": f"""
        SELECT CONCAT('candidate.', condition_id, '.', {MS}, '.', family) AS figure, cycle_at,
            family, brier, brier_baseline, skill, windows_total
        FROM candidate
    """,
    "installed": """
        WITH wanted AS (
            SELECT d.device_id, b.condition_id, CONCAT(b.model, ' ', b.version) AS desired
            FROM desired d, JSON_TABLE(
                JSON_UNQUOTE(JSON_EXTRACT(CONVERT(d.payload USING utf8mb4), '$.desired')),
                '$.bundles[*]' COLUMNS (condition_id VARCHAR(63) PATH '$.condition_id',
                    model VARCHAR(63) PATH '$.model', version VARCHAR(63) PATH '$.version')) b
        ), told AS (
            SELECT r.device_id, COALESCE(m.condition_id, 'unknown') AS condition_id,
                CONCAT(r.model, ' ', r.version) AS active,
                COALESCE(observed_at, received_at) AS since,
                ROW_NUMBER() OVER (PARTITION BY r.device_id, m.condition_id
                    ORDER BY COALESCE(observed_at, received_at) DESC, stream_id DESC, seq DESC) AS n
            FROM fct_model_report r
            LEFT JOIN model m ON m.model = r.model AND m.version = r.version
            WHERE outcome = 'active'
        ), places AS (
            SELECT device_id, condition_id FROM wanted
            UNION SELECT device_id, condition_id FROM told
        )
        SELECT CONCAT('installed.', p.device_id, '.', p.condition_id) AS figure, w.desired,
            t.active, t.since, IF(w.desired <=> t.active, 'yes', 'no') AS equal
        FROM places p
        LEFT JOIN wanted w ON w.device_id = p.device_id AND w.condition_id = p.condition_id
        LEFT JOIN told t
          ON t.device_id = p.device_id AND t.condition_id = p.condition_id AND t.n = 1
    """,
    "refusal": """
        SELECT CONCAT('refusal.', ROW_NUMBER() OVER (ORDER BY device_id, model, version, reason),
            '.', device_id) AS figure, CONCAT(model, ' ', version) AS bundle, COUNT(*) AS total,
            MAX(observed_at) AS last_at, reason
        FROM fct_model_report WHERE outcome = 'refused' GROUP BY device_id, model, version, reason
    """,
    "ledger": f"""
        WITH RECURSIVE {NUMBERS}
        SELECT CONCAT('ledger.', device_id) AS figure, `stored`, lost, held, unexplained, doubled,
            blocks, repeated, forks, unclean_stops FROM account
    """,
    "total": f"WITH RECURSIVE {NUMBERS} SELECT 'ledger.total' AS figure, {SUMS} FROM account",
    "kind": """
        SELECT 'ledger.kind' AS figure, SUM(reading_total) AS reading,
            SUM(prediction_total) AS prediction, SUM(alert_total) AS alert,
            SUM(status_total) AS status, SUM(model_report_total) AS model_report,
            SUM(loss_total) AS loss, SUM(clock_fix_total) AS clock_fix, SUM(held_total) AS held
        FROM (
            SELECT d.*, ROW_NUMBER() OVER (PARTITION BY device_id, stream_id, first_seq, last_seq
                ORDER BY received_at, node, n, start_id, lane, digest) AS place
            FROM ledger_delivery d
        ) d WHERE place = 1
    """,
}


class Page(HTMLParser):
    """The figures of a page, and the words with digits that no figure and no mark holds."""

    void = frozenset({"meta", "br", "link", "img", "hr"})

    def __init__(self, html):
        super().__init__()
        self.figures, self.twice, self.unmarked, self.open = {}, [], [], []
        self.addresses = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.addresses += [
            value for key, value in attrs if key in ("src", "href", "xlink:href", "action")
        ]
        if tag not in self.void:
            self.open.append((tag, named))
        if "data-figure" in named:
            key = named["data-figure"]
            self.twice += [key] if key in self.figures else []
            self.figures[key] = [named["value"], ""]

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, attrs in self.open:
            if "data-figure" in attrs:
                self.figures[attrs["data-figure"]][1] += data
                return
        silent = any(t in ("style", "svg", "title") or "data-text" in a for t, a in self.open)
        if re.search(r"\d", data) and not silent:
            self.unmarked.append(data.strip())


@pytest.fixture
def page(seeded, conditions, written_at):
    return Page(render(collect(seeded, conditions, written_at)))


def expected(engine):
    """Every figure as the queries have it; what the page leaves out beside a missing skill, not."""
    found = {}
    with engine.connect() as connection:
        for query in QUERIES.values():
            for row in connection.execute(text(query)).mappings():
                for name, value in row.items():
                    if name != "figure" and value != "absent":
                        found[f"{row['figure']}.{name}"] = value
    return found


def instant(at):
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds") + "Z"


def agrees(value, exact, shown):
    """Whether a query's value is the figure's, unrounded and as it is shown."""
    if value is None:
        return exact == "" and shown == "\N{EN DASH}"
    if isinstance(value, datetime):
        return exact == instant(value) and shown == exact[:16].replace("T", " ")
    if isinstance(value, date):
        return exact == shown == value.isoformat()
    if isinstance(value, str) and not re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", value):
        return exact == value and shown == value.replace("_", " ")
    number = float(value)
    read = shown.replace(",", "").replace("\N{MINUS SIGN}", "-")
    half = 0.5 * 10.0 ** -len(read.partition(".")[2])
    return float(exact) == pytest.approx(number, rel=1e-9, abs=1e-12) and (
        abs(float(read) - number) <= half + 1e-12
    )


def test_every_figure_is_what_its_query_says(seeded, page):
    queried = expected(seeded)
    assert sorted(page.figures.keys() - queried.keys()) == [], "figures without a query"
    assert sorted(queried.keys() - page.figures.keys()) == [], "queries without a figure"
    wrong = {
        key: (queried[key], *shown)
        for key, shown in page.figures.items()
        if not agrees(queried[key], *shown)
    }
    assert wrong == {}
    assert page.twice == []
    assert len(page.figures) > 400


def test_a_wrong_figure_would_be_found(seeded, page):
    queried = expected(seeded)
    for key, (exact, shown) in page.figures.items():
        value = queried[key]
        if isinstance(value, int | float | Decimal):
            assert not agrees(float(value) + 1, exact, shown), key
        elif value is not None:
            assert not agrees(None, exact, shown), key


def test_no_number_stands_on_the_page_unnamed(page):
    assert page.unmarked == []


def test_the_page_needs_nothing_from_outside(seeded, conditions, written_at):
    html = render(collect(seeded, conditions, written_at))
    assert "<script" not in html
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", html)
    assert all(address.startswith("#") for address in Page(html).addresses)


def test_texts_from_the_warehouse_are_escaped(seeded, conditions, written_at):
    html = render(collect(seeded, conditions, written_at))
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_what_to_expect_of_the_model_in_force_is_said(seeded, conditions, written_at):
    assert "What to expect" not in render(collect(seeded, conditions, written_at))
    counts = {"warnings_total": 37, "warnings_true": 26, "events_total": 41, "events_announced": 20}
    in_force = MODELS.c.model == "damp-baseline", MODELS.c.version == "2013-01-21-1"
    with seeded.begin() as connection:
        figures = counts | {"warn_at": 0.5, "lead_s": 7200}
        connection.execute(MODELS.update().where(*in_force).values(figures))
    html = render(collect(seeded, conditions, written_at))
    assert html.count("<dt>What to expect</dt>") == 1  # not for the other condition
    assert "at 0.5, on the weeks that judged it: Of 10 warnings 7 come true (26 of 37)." in html


def test_the_same_warehouse_gives_the_same_page(seeded, conditions, written_at):
    pages = [render(collect(seeded, conditions, written_at)) for _ in range(2)]
    assert pages[0] == pages[1]


def test_undeclared_conditions_are_named_and_left_out(seeded, conditions, written_at):
    report = collect(seeded, conditions, written_at)
    assert report.undeclared == ("attic-heat",)
    assert [c.declared.id for c in report.conditions] == ["condensation", "damp"]


def both(html):
    """The heads of rows in the reliability tables."""
    tables = re.findall(r"Reliability diagram as a table</summary>(.*?)</table>", html, re.DOTALL)
    return {head for table in tables for head in re.findall(r"<span data-text>(\w+)</span>", table)}


def test_the_reliability_of_both_origins_is_not_named_cloud(seeded, conditions, written_at):
    html = render(collect(seeded, conditions, written_at))
    assert both(html) == {"gateway", "cloud", "both"}


def test_an_open_interval_counts_in_the_hours():
    """The queries above take its end from cycle and readings; here it is given."""
    closed = TruthInterval(began_at=0, ended_at=HOUR_MS)
    still_true = TruthInterval(began_at=5 * HOUR_MS, ended_at=None)
    found = held((closed, still_true), 12 * HOUR_MS)
    assert (found.times, found.hours, found.longest_h, found.since) == (2, 8, 7, 5 * HOUR_MS)
    for known_until in (None, 4 * HOUR_MS):
        assert held((closed, still_true), known_until).hours == 1


POISON = ("1000-01-01", "2011-12-31", "2066-11-18", "9999-12-31")


def test_implausible_rows_of_an_older_program_stretch_no_report(seeded, conditions, written_at):
    before = collect(seeded, conditions, written_at)
    with seeded.begin() as connection:
        for n, day in enumerate(POISON):
            connection.execute(
                text(
                    "INSERT INTO fct_reading (device_id, stream_id, seq, event_day, observed_at,"
                    " offset_ms, received_at, sensor_id, quantity, value, quality) VALUES ('gw-1',"
                    f" 'zzzzzzzzzzzzz', {n + 1}, '{day}', '{day} 23:59:59', 1,"
                    " '2013-02-01 00:00:00', 'air', 'humidity', 40, 'good')"
                )
            )
    after = collect(seeded, conditions, written_at)
    assert (after.first_day, after.last_day) == (before.first_day, before.last_day)
    assert after.conditions == before.conditions
    assert render(after)
