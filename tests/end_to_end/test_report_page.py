"""The report in a real browser: a made year and an empty warehouse, on a desktop and on a phone.

The report is put together in memory, as large as that of a year of three gateways; that its figures
are those of the warehouse is tested beside `cloud.reports`.
"""

import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from playwright.sync_api import sync_playwright

from cloud.ledger.report import Totals
from cloud.monitoring.alerts import Happened, judge
from cloud.registry import DecisionRow
from cloud.reports.device_history import held
from cloud.reports.page import render
from cloud.reports.report import (
    Bin,
    Candidate,
    Completeness,
    ConditionReport,
    DeviceReport,
    ForecastCounts,
    ForecastDay,
    Installed,
    Monitored,
    Point,
    ReadingCounts,
    Refusal,
    Report,
    TruthInterval,
)
from models.conditions import load_conditions
from models.criteria import criterion_of

SEED = 20130101
OPEN_ALL = "() => document.querySelectorAll('details').forEach(d => { d.open = true; })"
FIRST = date(2013, 1, 1)
LAST = date(2013, 12, 30)
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
DEVICES = ("ewr", "jfk", "lga")
CYCLES = (date(2013, 4, 1), date(2013, 7, 1), date(2013, 9, 1), date(2013, 12, 1))
STEP = {"step_s": 3600, "max_age_s": 7200}
DECLARED = load_conditions(
    [
        {
            "id": "condensation",
            "derived": "dew_point_margin",
            "temperature": "air/temperature",
            "humidity": "air/humidity",
            "comparison": "below",
            "limit": 3.0,
            **STEP,
        },
        {"id": "damp", "signal": "air/humidity", "comparison": "above", "limit": 75.0, **STEP},
        {
            "id": "frost",
            "signal": "air/temperature",
            "comparison": "below",
            "limit": 0.0,
            "hysteresis": 0.5,
            "duration_s": 3600,
            **STEP,
        },
    ],
    "conditions.toml",
)
MEAN = {"condensation": 7.0, "damp": 62.0, "frost": 12.0}
SWING = {"condensation": 3.0, "damp": 14.0, "frost": 5.0}
WINDOWS = {"desktop": (1280, 900), "tablet": (900, 1100), "phone": (390, 844)}


def at_ms(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def days(first=FIRST, last=LAST):
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


class Made:
    """A year of made weather, truth and forecasts."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def report(self):
        return Report(
            written_at=at_ms(date(2013, 12, 31)),
            server="MySQL 9.7.0",
            readings=tuple(
                ReadingCounts(device_id=d, total=26_115, first_day=FIRST, last_day=LAST)
                for d in DEVICES
            ),
            conditions=tuple(self.condition(c) for c in DECLARED),
            undeclared=("attic-heat",),
            installed=self.installed(),
            refusals=(
                Refusal(
                    device_id="lga",
                    model="frost-baseline",
                    version="2013-09-01-1",
                    total=1,
                    last_at=at_ms(date(2013, 9, 2)),
                    reason="old_counter: 3 is lower than 4, the highest that was taken",
                ),
            ),
            completeness=completeness(),
        )

    def condition(self, declared):
        return ConditionReport(
            declared=declared,
            devices=tuple(self.device(declared, d) for d in DEVICES),
            reliability=tuple(self.bins()),
            monitored=tuple(self.monitored()),
            decisions=tuple(self.decisions(declared.id)),
            candidates=tuple(
                Candidate(
                    cycle_at=at_ms(cycle),
                    family=family,
                    brier=0.07 + self.random.random() / 100,
                    brier_baseline=0.0761,
                    skill=self.random.uniform(-0.05, 0.08),
                    windows_total=6000,
                )
                for cycle in CYCLES
                for family in ("sklearn", "mllib", "boosting")
            ),
        )

    def device(self, declared, device_id):
        points, truth = self.weather(declared)
        began = [i.began_at for i in truth]
        first = at_ms(CYCLES[0])
        raised = [b - self.random.randint(1, 9) * HOUR_MS for b in began if b > first][::2]
        history = Happened(
            observed=len(began),
            raised=raised,
            began=began,
            first_forecast_at=first,
            known_until=at_ms(LAST),
        )
        return DeviceReport(
            device_id=device_id,
            held=held(truth, None),
            alerts=judge(history, declared.horizon_s),
            forecasts=(
                self.counts("edge", 4812, None),
                self.counts("cloud", 5240, 410),
            ),
            truth=truth,
            signal=points,
            days=tuple(self.forecast_days(truth)),
        )

    @staticmethod
    def counts(origin, issued, late):
        return ForecastCounts(
            origin=origin,
            issued=issued,
            late=late,
            judged=issued - 40,
            mean_probability=0.1481,
            onset_share=0.1502,
        )

    def weather(self, declared):
        swing, drift, points, truth = SWING[declared.id], 0.0, [], []
        for day in days():
            if date(2013, 5, 3) <= day < date(2013, 5, 12):
                continue  # nothing was measured
            season = -abs((day - date(2013, 7, 20)).days) / 183 * 1.6 + 0.6
            season *= 10 if declared.id == "frost" else 0
            drift = 0.7 * drift + self.random.gauss(0, swing / 2)
            mean = MEAN[declared.id] + season + drift
            low, high = mean - swing * self.random.random(), mean + swing * self.random.random()
            if declared.id == "damp":
                low, mean, high = (min(v, 99.0) for v in (low, mean, high))
            if declared.id == "condensation":
                low, mean, high = (max(v, 0.1) for v in (low, mean, high))
            points.append(Point(at=at_ms(day), lowest=low, mean=mean, highest=high))
            if holds(declared, low) or holds(declared, high):
                begin = at_ms(day) + self.random.randint(0, 14) * HOUR_MS
                end = begin + self.random.randint(2, 9) * HOUR_MS
                truth.append(TruthInterval(began_at=begin, ended_at=end))
        return tuple(points), tuple(truth)

    def forecast_days(self, truth):
        held_on = {i.began_at // DAY_MS for i in truth}
        for day in days(CYCLES[0]):
            share = self.random.uniform(0.1, 0.6) if at_ms(day) // DAY_MS in held_on else 0.0
            for origin in ("cloud", "edge"):
                if origin == "edge" and date(2013, 7, 15) < day < date(2013, 9, 15):
                    continue  # cut off, and what it held is judged later
                noise = self.random.gauss(0, 0.05)
                yield ForecastDay(
                    day=day,
                    origin=origin,
                    mean_probability=min(1.0, max(0.01, 0.08 + 0.6 * share + noise)),
                    onset_share=share,
                )

    def bins(self):
        for origin in ("cloud", "edge"):
            for n in range(10):
                middle = n / 10 + 0.05
                yield Bin(
                    origin=origin,
                    bin=n,
                    outcomes_total=int(2600 / (n + 1) ** 1.7),
                    mean_probability=middle,
                    onset_share=min(1.0, max(0.0, middle + self.random.gauss(0, 0.04))),
                )

    def monitored(self):
        for device_id in ("", *DEVICES):
            for origin in ("", "cloud", "edge") if not device_id else ("cloud", "edge"):
                skill = self.random.uniform(-0.02, 0.08)
                yield Monitored(
                    cycle_at=at_ms(CYCLES[-1]),
                    device_id=device_id,
                    origin=origin,
                    outcomes_total=4772,
                    onsets_total=717,
                    event_weeks=31,
                    brier=0.0709,
                    brier_baseline=0.0761,
                    skill=skill,
                    skill_low=skill - 0.04,
                    skill_high=skill + 0.05,
                    drift_psi=0.114 if not device_id else None,
                    retrain=not device_id,
                    reason="three months have passed" if not device_id else None,
                    suspect_limits=0.31,
                    suspect=None,
                )

    def decisions(self, condition_id):
        words = ("baseline", "refused", "insufficient_evidence", "adopted")
        why = (
            "nothing was in force: the baseline goes out first",
            "the lower bound of the skill is -0.061, not above zero",
            "5 weeks with events are too few to say anything, 8 are needed",
            "the lower bound of the skill, 0.021, is above zero",
        )
        for cycle, word, reason in zip(CYCLES, words, why, strict=True):
            learned = word != "baseline"
            skill = {"refused": -0.02, "adopted": 0.071}.get(word)
            yield DecisionRow(
                cycle_at=at_ms(cycle),
                condition_id=condition_id,
                candidate="sklearn" if learned else None,
                brier_baseline=0.0761,
                brier_model=0.0712 if learned else None,
                skill=skill,
                skill_low=None if skill is None else skill - 0.041,
                skill_high=None if skill is None else skill + 0.036,
                event_weeks=31 if learned else 9,
                windows_total=6120,
                decision=word,
                reason=reason,
                model=f"{condition_id}-{'sklearn' if word == 'adopted' else 'baseline'}",
                version=f"{cycle}-1",
            )

    @staticmethod
    def installed():
        return tuple(
            Installed(
                device_id=device_id,
                condition_id=c.id,
                desired=f"{c.id}-sklearn 2013-12-01-1",
                active=f"{c.id}-{'baseline 2013-04-01-1' if stale else 'sklearn 2013-12-01-1'}",
                since=at_ms(CYCLES[-1]),
            )
            for device_id in DEVICES
            for c in DECLARED
            for stale in [device_id == "lga" and c.id == "frost"]
        )


def completeness():
    one = Totals(stored=92_412, blocks=4210, repeated=12, unclean_stops=1, lost=18)
    three = Totals(stored=277_236, blocks=12_630, repeated=36, unclean_stops=3, lost=54)
    return Completeness(
        devices=tuple((d, one) for d in DEVICES),
        totals=three,
        by_kind=(("alert", 1620), ("prediction", 14_436), ("reading", 78_345), ("status", 26_280)),
        notes=("ewr: unclean_stop reported by stream aaaaaaaaaaaaa: about 3 readings were lost",),
        sound=True,
    )


def holds(declared, value):
    criterion = criterion_of(replace(declared, duration_s=0), {})
    criterion.judge(value, 0)
    return criterion.holds


def nothing(conditions: Sequence) -> Report:
    return Report(
        written_at=at_ms(LAST),
        server="MySQL 9.7.0",
        readings=(),
        conditions=tuple(
            ConditionReport(
                declared=c,
                devices=(),
                reliability=(),
                monitored=(),
                decisions=(),
                candidates=(),
            )
            for c in conditions
        ),
        undeclared=(),
        installed=(),
        refusals=(),
        completeness=Completeness(devices=(), totals=Totals(), by_kind=(), notes=(), sound=True),
    )


@pytest.fixture(scope="module")
def made():
    print(f"seed {SEED}")
    return Made(SEED).report()


@pytest.fixture(scope="module")
def year(made):
    return render(made)


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium")
    if path is None:
        print("skipped: no chromium on this machine (Debian: apt-get install chromium)")
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """`opened(html, window, scheme)`: the page in the browser; whatever it complains of fails."""
    contexts, complaints = [], []

    def open_page(html, window, scheme="light"):
        width, height = WINDOWS[window]
        path = tmp_path / "report.html"
        path.write_text(html, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        requested = []
        page.on("request", lambda request: requested.append(request.url))
        page.goto(path.as_uri(), wait_until="load")
        assert requested == [path.as_uri()], "the page asks for nothing but itself"
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def overflowing(page):
    """Width of the document beyond the window, and what sticks out of the text's column."""
    return page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          const main = document.querySelector('main');
          const right = main.getBoundingClientRect().right
            - parseFloat(getComputedStyle(main).paddingRight);
          const out = [...document.querySelectorAll('main *')]
            .filter(e => e.getBoundingClientRect().right > right + 1 && !e.closest('svg'))
            .map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 40));
          return {over: document.documentElement.scrollWidth - width, out: out};
        }"""
    )


def visible_charts(page):
    """Of each chart that is shown: its size, its alternative text, marks and texts within it."""
    return page.evaluate(
        """() => [...document.querySelectorAll('svg')]
          .filter(e => e.getClientRects().length > 0)
          .map(e => ({
            width: e.getBoundingClientRect().width,
            height: e.getBoundingClientRect().height,
            alt: e.getAttribute('aria-label'),
            marks: [...e.querySelectorAll('path')]
              .filter(p => p.getBBox().width > 1 || p.getBBox().height > 1).length,
            texts: [...e.querySelectorAll('text')].map(t => t.textContent),
            px: Math.min(...[...e.querySelectorAll('text')]
              .map(t => t.getBoundingClientRect().height)),
          }))"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_year_fits_the_window_and_its_charts_are_there(year, opened, tmp_path, window, scheme):
    page = opened(year, window, scheme)
    page.evaluate(OPEN_ALL)
    assert overflowing(page) == {"over": 0, "out": []}
    charts = visible_charts(page)
    assert len(charts) == len(DECLARED) * (len(DEVICES) + 3)
    for chart in charts:
        assert chart["width"] > 250
        assert chart["height"] > 100
        assert chart["alt"]
        assert chart["marks"] > 5
        assert chart["px"] >= 10, "letters are large enough to be read"
    assert any("Jul" in chart["texts"] for chart in charts)
    path = tmp_path / f"report-{window}-{scheme}.png"
    page.screenshot(path=path, full_page=True)
    print(f"picture: {path}")


@pytest.mark.parametrize("window", WINDOWS)
def test_an_empty_warehouse_gives_an_honest_page(opened, tmp_path, window):
    page = opened(render(nothing(DECLARED)), window)
    assert overflowing(page) == {"over": 0, "out": []}
    text = page.inner_text("body")
    for told in ("No readings yet", "No forecasts yet", "Not judged yet", "No cycle has decided"):
        assert told in text
    assert visible_charts(page) == []
    page.screenshot(path=tmp_path / f"empty-{window}.png", full_page=True)


def test_dark_and_light_show_charts_in_other_colours(made, opened):
    html = render(replace(made, conditions=made.conditions[:1]))
    inks = {
        scheme: opened(html, "desktop", scheme).evaluate(
            "() => getComputedStyle(document.querySelector('svg text')).fill"
        )
        for scheme in ("light", "dark")
    }
    assert inks["light"] != inks["dark"]
