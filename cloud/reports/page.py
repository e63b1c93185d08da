"""Renders a report as one HTML file for phone and desktop, without scripts or external links.

Each number on the page is in a `data` element with its name (`data-figure`) and its unrounded
value (`value`). A text with digits that is not a figure is marked `data-text`. A test compares
every figure with the result of its own SQL. Only this module imports jinja2.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cloud.instants import shown_instant
from cloud.reports.charts import PALETTE
from cloud.reports.device_history import DRAWN_DEVICES
from cloud.reports.report import Report
from cloud.reports.views import condition_views

__all__ = ["Glance", "glance", "render"]

_NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
Value = float | int | str | bool | date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Sums over all devices and conditions, shown at the top of the page."""

    readings: int
    devices: int
    edge_forecasts: int
    cloud_forecasts: int
    judged: int
    observed: int
    hits: int
    misses: int
    false_alarms: int


def glance(report: Report) -> Glance:
    """Return the sums of a report."""
    devices = [device for condition in report.conditions for device in condition.devices]
    forecasts = [counts for device in devices for counts in device.forecasts]
    return Glance(
        readings=sum(r.total for r in report.readings),
        devices=len(report.readings),
        edge_forecasts=sum(f.issued for f in forecasts if f.origin == "edge"),
        cloud_forecasts=sum(f.issued for f in forecasts if f.origin == "cloud"),
        judged=sum(f.judged for f in forecasts),
        observed=sum(d.alerts.observed for d in devices),
        hits=sum(d.alerts.hits for d in devices),
        misses=sum(d.alerts.misses for d in devices),
        false_alarms=sum(d.alerts.false_alarms for d in devices),
    )


def render(report: Report) -> str:
    """Return the page as HTML.

    Args:
        report: The result of `cloud.reports.queries.collect`.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(figure=figure, instant=instant)
    environment.filters["words"] = lambda text: str(text).replace("_", " ")
    return environment.get_template("page.html").render(
        report=report,
        glance=glance(report),
        conditions=condition_views(report),
        drawn_devices=DRAWN_DEVICES,
        palette=PALETTE,
        written=shown_instant(report.written_at),
    )


def figure(key: str, value: Value, decimals: int = 0, *, signed: bool = False) -> Markup:
    """Return a `data` element with a figure's name and exact value; the text is rounded.

    Args:
        key: The figure's stable name.
        value: The exact value; None if it does not exist.
        decimals: Number of decimals in the text, for a float.
        signed: Whether the text of a positive value has a plus sign.
    """
    exact = "" if value is None else "yes" if value is True else "no" if value is False else value
    shown = _shown(value, decimals, signed=signed)
    return Markup('<data data-figure="{}" value="{}">{}</data>').format(key, exact, shown)


def instant(key: str, at: int | None) -> Markup:
    """Return an instant (ms since 1970 UTC) as a figure; the text ends at the minute."""
    exact = "" if at is None else shown_instant(at)
    shown = _NOTHING if at is None else exact[:16].replace("T", " ")
    return Markup('<data data-figure="{}" value="{}">{}</data>').format(key, exact, shown)


def _shown(value: Value, decimals: int, *, signed: bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return _NOTHING
    if isinstance(value, float):
        text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
        return text.replace("-", _MINUS)
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")
