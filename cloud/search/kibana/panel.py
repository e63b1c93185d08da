"""What a panel shows, said once: which documents, how they are split, which figures.

The state that Kibana stores (`lens`) and the query that tests run (`query`) are both made from
these values, so what is tested is what is shown. Nothing here knows either form.

Only what the project's reduced Elasticsearch can compute is offered: no `top_metrics`, no moving
averages, no scripts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from contract.records import Kind

__all__ = [
    "ALL",
    "Chart",
    "Control",
    "Dashboard",
    "DataView",
    "Difference",
    "Figure",
    "Function",
    "Hours",
    "Latest",
    "Layer",
    "Metric",
    "Panel",
    "PanelRow",
    "Shown",
    "Split",
    "Values",
    "Where",
]


class Chart(StrEnum):
    """How figures are drawn."""

    TABLE = "table"
    LINE = "line"
    BAR = "bar"
    NUMBER = "number"


class Shown(StrEnum):
    """What a figure is, by Kibana's words for data types."""

    NUMBER = "number"
    DATE = "date"
    WORD = "string"


class Function(StrEnum):
    """What a figure is of its documents, by Kibana's words for operations."""

    COUNT = "count"
    UNIQUE = "unique_count"
    MIN = "min"
    MAX = "max"
    AVERAGE = "average"
    SUM = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataView:
    """Documents of one alias, as Kibana sees them.

    Attributes:
        name: Last part of its id.
        title: What people read.
        kind: Kind of record; None for the cloud's own forecasts, which are no records.
        time_field: What the dashboard's span of time is applied to; None: it is not applied.
    """

    name: str
    title: str
    kind: Kind | None
    time_field: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Documents whose fields have, or do not have, exactly these values.

    Attributes:
        equal: Field and value; all must agree.
        unequal: Field and value; none may agree.
        missing: A field that is not there.
        present: A field that is there.
    """

    equal: tuple[tuple[str, str | bool], ...] = ()
    unequal: tuple[tuple[str, str | bool], ...] = ()
    missing: str | None = None
    present: str | None = None

    def fields(self) -> Iterator[str]:
        """The fields that it looks at."""
        yield from (name for name, _ in (*self.equal, *self.unequal))
        yield from (name for name in (self.missing, self.present) if name is not None)


ALL = Where()


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One part for each value of a field.

    Attributes:
        field: The field, of words or booleans.
        label: Heading.
        size: At most so many values.
        by: Name of the figure that orders them, the least first; None: by the value itself.
    """

    field: str
    label: str
    size: int = 100
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """One part for each hour that has documents.

    Attributes:
        field: An instant.
        label: Heading.
    """

    field: str
    label: str


Split: TypeAlias = Values | Hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of each part.

    Attributes:
        name: Short and stable; part of the column's id.
        label: Heading.
        function: What is computed.
        field: Of which field; None for a count of documents.
        shown: What it is.
        where: Of which documents.
    """

    name: str
    label: str
    function: Function
    field: str | None = None
    shown: Shown = Shown.NUMBER
    where: Where = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """A field of the newest document that has it.

    Attributes:
        name: Short and stable; part of the column's id.
        label: Heading.
        field: The field.
        by: An instant; its greatest is the newest.
        shown: What the field is.
        where: Of which documents; two of them must not have the same instant.
    """

    name: str
    label: str
    field: str
    by: str
    shown: Shown = Shown.NUMBER
    where: Where = ALL

    @property
    def having(self) -> Where:
        """Of which documents, if they have the field."""
        return replace(self.where, present=self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Documents of one sort less documents of another.

    Attributes:
        name: Short and stable; part of the column's id.
        label: Heading.
        of: The ones.
        less: The others.
    """

    name: str
    label: str
    of: Where
    less: Where


Metric: TypeAlias = Figure | Latest | Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Figures of one data view; a chart may lay several over each other.

    Attributes:
        view: The documents.
        splits: How they are parted, the outermost first.
        metrics: What is said of each part.
        chart: How it is drawn, where that is not the panel's way; a bar has the right axis.
    """

    view: DataView
    splits: tuple[Split, ...]
    metrics: tuple[Metric, ...]
    chart: Chart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        name: Short and stable; part of its id.
        title: What people read above it.
        about: What it shows and what to make of it.
        chart: How it is drawn.
        layers: What is drawn; all but lines and bars have one.
        where: Of which documents, in all layers.
        sorted_by: For a table: the figure whose greatest stands at the top.
    """

    name: str
    title: str
    about: str
    chart: Chart
    layers: tuple[Layer, ...]
    where: Where = ALL
    sorted_by: str | None = None


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels beside each other.

    Attributes:
        height: Lines of Kibana's grid.
        panels: Each with its columns of the grid's 48, from the left.
    """

    height: int
    panels: tuple[tuple[int, Panel], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A list above the panels from which one value is chosen.

    Attributes:
        field: The field.
        label: What people read.
        view: Where its values come from.
    """

    field: str
    label: str
    view: DataView


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard.

    Attributes:
        name: Short and stable; part of its id.
        title: What people read.
        about: What it is for.
        rows: Its panels, from the top.
        controls: What may be chosen.
        span: How far back it looks at first, in Kibana's words.
    """

    name: str
    title: str
    about: str
    rows: tuple[PanelRow, ...]
    controls: tuple[Control, ...] = ()
    span: str = "now-7d"

    def panels(self) -> Iterator[Panel]:
        """All of them, from the top."""
        for row in self.rows:
            yield from (panel for _, panel in row.panels)
