"""Draws the star of the warehouse as SVG: dimensions, facts, summaries and how they join."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from sqlalchemy import MetaData, Table

__all__ = ["JOINS", "Join", "picture"]

_WIDTH, _ROW, _TITLE, _GAP_X, _GAP_Y = 200, 17, 24, 70, 22
_STYLE = """
    text { font: 12.5px system-ui, "DejaVu Sans", sans-serif; fill: #24292f; }
    .name { font-weight: 600; }
    .key { text-decoration: underline; }
    .box { fill: #ffffff; stroke: #0072b2; stroke-width: 1.5; }
    .dim { stroke: #009e73; }
    .sum { stroke: #d55e00; }
    .way { fill: none; stroke: #8c959f; stroke-width: 1.2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .box { fill: #161b22; }
    }
"""


@dataclass(frozen=True, slots=True)
class Join:
    """Tables that join by equal columns; `many` has several rows for one row of `one`."""

    many: str
    one: str
    columns: tuple[str, ...]


_SENSOR = ("device_id", "sensor_id", "quantity")
JOINS = (
    Join("dim_device", "dim_site", ("site_id",)),
    Join("dim_sensor", "dim_device", ("device_id",)),
    *(Join(name, "dim_sensor", _SENSOR) for name in ("fct_reading", "agg_hour", "agg_day")),
    Join("agg_minute", "dim_sensor", _SENSOR),
    *(
        Join(name, "dim_condition", ("condition_id",))
        for name in ("agg_condition_hour", "agg_condition_day", "excursion", "fct_alert")
    ),
    *(
        Join(name, "dim_condition", ("condition_id",))
        for name in ("fct_prediction", "cloud_prediction", "outcome", "decision", "model")
    ),
    Join("fct_loss", "dim_device", ("device_id",)),
)
# Left: facts and summaries of signals; middle: dimensions; right: conditions and forecasts.
_COLUMNS: tuple[Sequence[str], ...] = (
    ("fct_reading", "agg_minute", "agg_hour", "agg_day", "fct_loss"),
    ("dim_sensor", "dim_device", "dim_site", "dim_condition", "model", "decision"),
    ("agg_condition_hour", "agg_condition_day", "excursion", "fct_alert"),
    ("fct_prediction", "cloud_prediction", "outcome"),
)


@dataclass(frozen=True, slots=True)
class _Box:
    table: Table
    x: int
    y: int

    @property
    def height(self) -> int:
        return _TITLE + _ROW * len(self.table.columns) + 6

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


def picture(metadata: MetaData, groups: Mapping[str, Sequence[Table]]) -> str:
    """Returns the SVG; keys are underlined, and lines join tables with equal columns.

    Args:
        metadata: The warehouse's tables.
        groups: Tables of the groups `dimensions` and `summaries`, which have their own colours.
    """
    boxes = _placed(metadata)
    width = len(_COLUMNS) * (_WIDTH + _GAP_X) - _GAP_X + 40
    height = max(box.y + box.height for box in boxes.values()) + 20
    colours = {t.name: " dim" for t in groups["dimensions"]}
    colours |= {t.name: " sum" for t in groups["summaries"]}
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            ' aria-labelledby="title">'
        ),
        '  <title id="title">The tables of the warehouse and how they join</title>',
        f"  <style>{_STYLE}  </style>",
        *(_line(boxes[join.many], boxes[join.one], join) for join in JOINS),
        *(_drawn(box, colours.get(name, "")) for name, box in boxes.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _placed(metadata: MetaData) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}
    for number, names in enumerate(_COLUMNS):
        y = 20
        for name in names:
            boxes[name] = _Box(metadata.tables[name], 20 + number * (_WIDTH + _GAP_X), y)
            y += boxes[name].height + _GAP_Y
    return boxes


def _line(many: _Box, one: _Box, join: Join) -> str:
    title = f"<title>{join.many} joins {join.one} by {', '.join(join.columns)}</title>"
    if many.x == one.x:
        start, end = many.x + _WIDTH, one.x + _WIDTH
        bend = f"C {start + 40} {many.middle} {end + 40} {one.middle}"
    else:
        start, end = (many.x + _WIDTH, one.x) if many.x < one.x else (many.x, one.x + _WIDTH)
        half = (start + end) // 2
        bend = f"C {half} {many.middle} {half} {one.middle}"
    path = f"M {start} {many.middle} {bend} {end} {one.middle}"
    return f'  <path class="way" d="{path}">{title}</path>'


def _drawn(box: _Box, colour: str) -> str:
    x, y, name = box.x, box.y, escape(box.table.name)
    lines = [
        (
            f'  <rect class="box{colour}" x="{x}" y="{y}" width="{_WIDTH}" height="{box.height}"'
            ' rx="6"/>'
        ),
        f'  <text class="name" x="{x + 10}" y="{y + 18}">{name}</text>',
    ]
    for number, column in enumerate(box.table.columns):
        key = ' class="key"' if column.primary_key else ""
        at = y + _TITLE + 14 + number * _ROW
        lines.append(f'  <text{key} x="{x + 10}" y="{at}">{escape(column.name)}</text>')
    return "\n".join(lines)
