"""Draws the report's charts as SVG elements for the page; text stays text.

Each colour is a CSS variable with the light scheme's value as its default, so that a chart follows
the page's dark scheme. Colour-blind readers can distinguish the colours (Okabe and Ito's); the
forecasts of gateway and cloud also differ by their dashes. Only this module imports matplotlib, and
it leaves matplotlib's global state unchanged.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cloud.registry import DecisionRow
from cloud.reports.report import (
    Bin,
    DeviceReport,
    ForecastDay,
    Monitored,
    TruthInterval,
)

__all__ = [
    "PALETTE",
    "Frame",
    "Size",
    "Timeline",
    "day_number",
    "draw_reliability",
    "draw_skill",
    "draw_timeline",
]

PALETTE = {  # CSS variable: colour of the light scheme
    "ink": "#24292f",
    "soft": "#8c959f",
    "grid": "#d8dee4",
    "measured": "#57606a",
    "held": "#d55e00",
    "edge": "#0072b2",
    "cloud": "#009e73",
}
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_FONT_PX = 12
_QUARTERS = {0.25: "¼", 0.5: "½", 0.75: "¾", 1.0: "1"}
_DASHES: tuple[tuple[str, Any], ...] = (("edge", "solid"), ("cloud", (0, (3, 2))))
_MARKERS = {"cloud": "s", "edge": "o"}
_DATES = ["%Y", "%b", "%d", "%H:%M", "%H:%M", "%S"]


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in CSS pixels at which text has its natural size."""

    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Ends of axes. All devices of a condition share them, so that charts can be compared.

    Attributes:
        from_at: Left end, ms since 1970 UTC.
        until_at: Right end, ms since 1970 UTC.
        lowest: The signal's lowest value, in its unit.
        highest: The signal's highest value, in its unit.
        share: Highest probability or share of onsets of a day, 0 to 1.
    """

    from_at: int
    until_at: int
    lowest: float
    highest: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Data of the chart of one condition on one device.

    Attributes:
        device: The device's signal, truth and days of forecasts.
        unit: Title of the axis: the signal and its unit.
        limit: The condition's limit in that unit.
        frame: The ends of the axes.
    """

    device: DeviceReport
    unit: str
    limit: float
    frame: Frame


def day_number(day: date) -> int:
    """Return the number of days since 1970-01-01."""
    return (day - _EPOCH).days


def draw_timeline(timeline: Timeline, size: Size, alt: str) -> str:
    """Return a chart of signal, limit and times when the condition was true; below, forecasts."""

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 2))
        width, height = size.width_px, size.height_px
        # Fixed margins with room for the labels: measuring labels takes longer than all drawing.
        figure.subplots_adjust(34 / width, 28 / height, 1 - 4 / width, 1 - 22 / height, hspace=0.3)
        top = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=top)
        _signal(top, timeline)
        _forecasts(below, timeline.device.days, timeline.frame.share)
        _dates(top, below, timeline.frame, most=max(4, width // 56))

    return _svg(draw, size, alt)


def _dates(top: Axes, below: Axes, frame: Frame, most: int) -> None:
    top.tick_params(labelbottom=False)
    top.set_xlim(frame.from_at / _DAY_MS, frame.until_at / _DAY_MS)
    locator = AutoDateLocator(minticks=3, maxticks=most)  # type: ignore[no-untyped-call]  # matplotlib's
    dates = ConciseDateFormatter(locator, formats=_DATES, show_offset=False)  # type: ignore[no-untyped-call]  # matplotlib's
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(dates)
    below.tick_params(axis="x", pad=8)


def _signal(axes: Axes, timeline: Timeline) -> None:
    _titled(axes, timeline.unit)
    frame = timeline.frame
    _shade(axes, timeline.device.truth, frame.until_at)
    points = timeline.device.signal
    # A point's `at` is the begin of its day or step: the mean is drawn in the middle.
    step = min((b.at - a.at for a, b in pairwise(points)), default=0)
    for run in _unbroken(points, step, lambda p: p.at):
        days = [(p.at + step / 2) / _DAY_MS for p in run]
        low, high = [p.lowest for p in run], [p.highest for p in run]
        axes.fill_between(days, low, high, color=PALETTE["measured"], alpha=0.3, linewidth=0)
        axes.plot(days, [p.mean for p in run], color=PALETTE["measured"], linewidth=1.2)
    axes.axhline(timeline.limit, color=PALETTE["held"], linewidth=1.2, linestyle=(0, (4, 3)))
    room = 0.05 * (frame.highest - frame.lowest) or 1
    axes.set_ylim(frame.lowest - room, frame.highest + 3 * room)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _shade(axes: Axes, truth: Sequence[TruthInterval], until_at: int) -> None:
    spans = [
        (i.began_at / _DAY_MS, ((i.ended_at or until_at) - i.began_at) / _DAY_MS) for i in truth
    ]
    place, colour = axes.get_xaxis_transform(), PALETTE["held"]
    axes.broken_barh(spans, (0, 0.92), transform=place, color=colour, alpha=0.3, linewidth=0)
    # A few hours of a year are thinner than a pixel, so a strip at the top marks each interval.
    axes.broken_barh(spans, (0.94, 0.06), transform=place, color=colour, linewidth=0.9)


def _forecasts(axes: Axes, days: Sequence[ForecastDay], share: float) -> None:
    _titled(axes, "probability and share of onsets, by day")
    top = next(tick for tick in _QUARTERS if share <= tick)
    ticks = [tick for tick in _QUARTERS if tick <= top]
    axes.set_ylim(0, top)
    axes.set_yticks((0, *ticks), ("0", *(_QUARTERS[tick] for tick in ticks)))
    if not days:
        middle = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        # matplotlib types its keywords one by one, and a dict has one type for all
        axes.text(0.5, 0.5, "no judged forecasts yet", **middle)  # type: ignore[arg-type]
        return
    shares = {day_number(d.day): d.onset_share for d in days}  # one area for both origins
    first, last = min(shares), max(shares)
    heights = [shares.get(number, 0.0) for number in range(first, last + 1)]
    edges = list(range(first, last + 2))
    axes.stairs(heights, edges, fill=True, color=PALETTE["held"], alpha=0.5, linewidth=0)
    for origin, dash in _DASHES:
        mine = [d for d in days if d.origin == origin]
        for run in _unbroken(mine, 1, lambda d: day_number(d.day)):
            middles = [day_number(d.day) + 0.5 for d in run]
            means = [d.mean_probability for d in run]
            axes.plot(middles, means, color=PALETTE[origin], linewidth=1.3, linestyle=dash)


def _unbroken(items: Sequence[Any], step: int, place: Callable[[Any], int]) -> list[list[Any]]:
    """Split items into runs without gaps, because a line across a gap would suggest data."""
    runs: list[list[Any]] = []
    for item in items:
        if runs and place(item) - place(runs[-1][-1]) <= step:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def draw_reliability(bins: Sequence[Bin], size: Size, alt: str) -> str:
    """Return a chart of the share of onsets over the forecast probability, by origin.

    The area of a point grows with its number of forecasts.
    """

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        _titled(axes, "share of onsets")
        axes.plot((0, 1), (0, 1), color=PALETTE["soft"], linewidth=1, linestyle=(0, (4, 3)))
        most = max(b.outcomes_total for b in bins)
        for origin, dash in _DASHES:
            mine = [b for b in bins if b.origin == origin]
            x, y = [b.mean_probability for b in mine], [b.onset_share for b in mine]
            weights = [20 + 130 * b.outcomes_total / most for b in mine]
            colour = PALETTE[origin]
            axes.plot(x, y, color=colour, linewidth=1.2, linestyle=dash)
            axes.scatter(x, y, weights, colour, marker=_MARKERS[origin], alpha=0.6, linewidth=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks((0, *_QUARTERS), labels=("0", *_QUARTERS.values()))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="forecast probability")
        axes.set_aspect("equal")

    return _svg(draw, size, alt)


def draw_skill(rows: Sequence[tuple[str, Monitored | DecisionRow]], size: Size, alt: str) -> str:
    """Return a chart of skills with their bounds, one row each, and a line at no skill."""

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        _titled(axes, "← worse   than the baseline   better →")
        axes.axvline(0, color=PALETTE["soft"], linewidth=1, linestyle=(0, (4, 3)))
        for place, (_, row) in enumerate(rows):
            if row.skill is None or row.skill_low is None or row.skill_high is None:
                beside = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
                # as above: matplotlib types its keywords one by one
                axes.annotate("no figure", (0, place), **beside)  # type: ignore[arg-type]
                continue
            colour = PALETTE["ink"]
            axes.plot((row.skill_low, row.skill_high), (place, place), color=colour, linewidth=2)
            axes.plot([row.skill], [place], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(visible=False, axis="y")

    return _svg(draw, size, alt)


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=_FONT_PX, color=PALETTE["ink"], pad=6)
    axes.grid(visible=True, color=PALETTE["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=PALETTE["ink"], pad=5)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(PALETTE["soft"])


def _svg(draw: Callable[[Figure], None], size: Size, alt: str) -> str:
    # matplotlib writes points, 72 per inch, as SVG units.
    figure = Figure(figsize=(size.width_px / 72, size.height_px / 72))
    canvas = FigureCanvasSVG(figure)
    written = io.StringIO()
    with mpl.rc_context():
        mpl.rcParams["svg.fonttype"] = "none"  # text stays text
        mpl.rcParams["svg.hashsalt"] = f"{alt} {size}"  # ids differ by chart, not by run
        mpl.rcParams["text.parse_math"] = False
        mpl.rcParams["font.size"] = _FONT_PX
        draw(figure)
        figure.set_facecolor("none")
        for axes in figure.axes:
            axes.set_facecolor("none")
            _ink(axes)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        canvas.print_svg(written, metadata=nothing)  # type: ignore[no-untyped-call]  # matplotlib's
    return _inline(written.getvalue(), size, alt)


def _ink(axes: Axes) -> None:
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
        text.set_color(PALETTE["ink"])


def _inline(document: str, size: Size, alt: str) -> str:
    """Return the `svg` element without links and unused ids, with the page's colours."""
    body = document[document.index("</defs>") + 7 :]  # the first `defs` styles the whole page
    named = set(re.findall(r"#([\w.-]+)", body))
    body = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in named else "", body)
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    body = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), body)
    body = re.sub(r"\s+", " ", body)
    for name, colour in PALETTE.items():
        body = body.replace(colour, f"var(--{name}, {colour})")
    return (
        f'<svg role="img" aria-label="{escape(alt)}" width="{size.width_px}" '
        f'height="{size.height_px}" viewBox="0 0 {size.width_px} {size.height_px}">{body}'
    )
