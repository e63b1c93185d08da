"""Makes the texts and charts that the page shows of a condition beside its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cloud.expectation import sentences
from cloud.instants import shown_instant, shown_span
from cloud.registry import DecisionRow
from cloud.reports.charts import (
    Frame,
    Size,
    Timeline,
    day_number,
    draw_reliability,
    draw_skill,
    draw_timeline,
)
from cloud.reports.report import ConditionReport, DeviceReport, Monitored, Report
from contract.records import Origin
from models.conditions import Condition, facts_of, signals_of

__all__ = ["Chart", "ConditionView", "DeviceView", "Fact", "condition_views"]

_DAY_MS = 86_400_000
_WIDE, _NARROW = Size(1100, 330), Size(350, 300)
_SQUARE = 330
_ROW_PX, _AROUND_PX = 26, 60


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about a condition's declaration."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; `narrow` is the version for a phone, None if `wide` fits on a phone."""

    title: str
    wide: Markup
    narrow: Markup | None = None


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device of a condition, and its chart if one is drawn."""

    report: DeviceReport
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class ConditionView:
    """A condition with its texts and charts."""

    report: ConditionReport
    sentence: str
    facts: tuple[Fact, ...]
    devices: tuple[DeviceView, ...]
    charts: tuple[Chart, ...]


def condition_views(report: Report) -> tuple[ConditionView, ...]:
    """Return one view for each condition; all time axes show the report's period."""
    return tuple(_view(report, condition) for condition in report.conditions)


def _view(report: Report, condition: ConditionReport) -> ConditionView:
    declared, frame = condition.declared, _frame(report, condition)
    return ConditionView(
        report=condition,
        sentence=_sentence(declared),
        facts=(*_facts(declared), *_expected(condition)),
        devices=tuple(DeviceView(d, _timeline(declared, frame, d)) for d in condition.devices),
        charts=tuple(_square_charts(condition)),
    )


def _subject(condition: Condition) -> str:
    title = facts_of(condition).title
    return f"{title[0].lower()}{title[1:]} of {signals_of(condition)[0].sensor_id}"


def _sentence(condition: Condition) -> str:
    limit = facts_of(condition).shown(condition.limit)
    text = f"{_subject(condition)} {condition.comparison.value} {limit}"
    return text[0].upper() + text[1:]


def _facts(condition: Condition) -> Iterator[Fact]:
    facts, sign = facts_of(condition), -1 if condition.comparison.value == "above" else 1
    yield Fact("Measured as", " and ".join(map(str, signals_of(condition))))
    if condition.derived is not None:
        yield Fact("Computed as", condition.derived.facts.about)
    if condition.hysteresis:
        end = condition.limit + sign * condition.hysteresis
        yield Fact("Becomes false", f"when the value is back at {facts.shown(end)}")
    if condition.duration_s:
        yield Fact(
            "Becomes true", f"after {shown_span(condition.duration_s * 1000)} beyond the limit"
        )
    yield Fact("Evaluated", f"every {shown_span(condition.step_s * 1000)}")
    yield Fact("Forecast", f"onset within {shown_span(condition.horizon_s * 1000)}")
    yield Fact("Forecast alert", f"from a probability of {condition.warn_at:g}")


def _expected(condition: ConditionReport) -> Iterator[Fact]:
    if condition.expectation is not None:
        found = condition.expectation
        text = " ".join(sentences(found))
        yield Fact("What to expect", f"at {found.warn_at:g}, on the weeks that judged it: {text}")


def _frame(report: Report, condition: ConditionReport) -> Frame | None:
    first, last = report.first_day, report.last_day
    if first is None or last is None:
        return None
    points = [p for device in condition.devices for p in device.signal]
    days = [d for device in condition.devices for d in device.days]
    limit = condition.declared.limit
    return Frame(
        from_at=day_number(first) * _DAY_MS,
        until_at=(day_number(last) + 1) * _DAY_MS,
        lowest=min((p.lowest for p in points), default=limit),
        highest=max((p.highest for p in points), default=limit),
        share=max((max(d.mean_probability, d.onset_share) for d in days), default=0.0),
    )


def _timeline(declared: Condition, frame: Frame | None, device: DeviceReport) -> Chart | None:
    if frame is None or not (device.signal or device.days):
        return None
    timeline = Timeline(
        device=device,
        unit=f"{_subject(declared)}, {facts_of(declared).shown_unit}".rstrip(", "),
        limit=declared.limit,
        frame=frame,
    )
    first, last = shown_instant(frame.from_at)[:10], shown_instant(frame.until_at - 1)[:10]
    alt = (
        f"Condition {declared.id} on {device.device_id} from {first} to {last}. The upper part "
        f"shows the {_subject(declared)}. A band shows the lowest and highest values, a line "
        "shows the mean, and a dashed line shows the limit. The times when the condition was "
        "true are shaded. The lower part shows, by day, the share of onsets as an area and the "
        "mean forecast probabilities of gateway and cloud as lines. The tables give the figures."
    )
    return Chart(
        device.device_id,
        Markup(draw_timeline(timeline, _WIDE, alt)),  # noqa: S704  # charts escapes its texts
        Markup(draw_timeline(timeline, _NARROW, alt)),  # noqa: S704  # charts escapes its texts
    )


def _square_charts(condition: ConditionReport) -> Iterator[Chart]:
    condition_id = condition.declared.id
    if condition.reliability:
        alt = (
            f"Reliability of the forecasts of {condition_id}. The chart shows the share of onsets "
            "over the forecast probability, one point for each bin. A larger point has more "
            "forecasts. On the dashed diagonal, onsets are as frequent as forecast. The table "
            "gives the figures."
        )
        size = Size(_SQUARE, _SQUARE)
        drawn = draw_reliability(condition.reliability, size, alt)
        yield Chart("Reliability of the forecasts", Markup(drawn))  # noqa: S704  # escaped
    skills = [(_whose(row), row) for row in condition.monitored]
    yield from _skill_chart("Skill in service", f"{condition_id}, by device", skills)
    gates = [(shown_instant(row.cycle_at)[:10], row) for row in condition.decisions]
    yield from _skill_chart("Skill at each decision", f"{condition_id}, by cycle", gates)


def _whose(row: Monitored) -> str:
    by = "gateway" if row.origin == Origin.EDGE else row.origin or "both"
    return f"{row.device_id or 'all devices'}, {by}"


def _skill_chart(
    title: str, of: str, rows: Sequence[tuple[str, Monitored | DecisionRow]]
) -> Iterator[Chart]:
    if any(row.skill is not None for _, row in rows):
        alt = (
            f"{title}, {of}. A point shows the skill and a line shows its bounds. The dashed line "
            "marks no skill. The table gives the figures."
        )
        size = Size(_SQUARE, _AROUND_PX + _ROW_PX * len(rows))
        yield Chart(title, Markup(draw_skill(rows, size, alt)))  # noqa: S704  # charts escapes its texts
