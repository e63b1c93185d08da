"""Defines what a panel shows: which documents, how they are split, which figures.

Kibana's saved objects (`lens`) and the tests' queries (`query`) are made from the same values, so
that tests check what the dashboards show.

The functions are limited to those of the project's reduced Elasticsearch: no `top_metrics`, no
moving averages, no scripts.
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
    """Form in which figures are drawn."""

    TABLE = "table"
    LINE = "line"
    BAR = "bar"
    NUMBER = "number"


class Shown(StrEnum):
    """Data type of a figure, by Kibana's names."""

    NUMBER = "number"
    DATE = "date"
    WORD = "string"


class Function(StrEnum):
    """Operation that computes a figure from documents, by Kibana's names."""

    COUNT = "count"
    UNIQUE = "unique_count"
    MIN = "min"
    MAX = "max"
    AVERAGE = "average"
    SUM = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataView:
    """Kibana's data view of one alias.

    Attributes:
        name: Last part of its id.
        title: Title in Kibana.
        kind: Kind of record; None for the cloud's own forecasts, which are not records.
        time_field: Field that the dashboard's time range filters; None: no such filter.
    """

    name: str
    title: str
    kind: Kind | None
    time_field: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A filter of documents by the values of their fields.

    Attributes:
        equal: Fields and values that a document must have.
        unequal: Fields and values that a document must not have.
        missing: Field that a document must not have.
        present: Field that a document must have.
    """

    equal: tuple[tuple[str, str | bool], ...] = ()
    unequal: tuple[tuple[str, str | bool], ...] = ()
    missing: str | None = None
    present: str | None = None

    def fields(self) -> Iterator[str]:
        """Returns the names of all fields in the filter."""
        yield from (name for name, _ in (*self.equal, *self.unequal))
        yield from (name for name in (self.missing, self.present) if name is not None)


ALL = Where()


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A split by the values of a field.

    Attributes:
        field: Field of keywords or booleans.
        label: Heading.
        size: Maximum number of values.
        by: Name of the figure that sorts the values, ascending; None: sorted by the value itself.
    """

    field: str
    label: str
    size: int = 100
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A split by the hours that have documents.

    Attributes:
        field: Field of instants.
        label: Heading.
    """

    field: str
    label: str


Split: TypeAlias = Values | Hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that is computed for each part of a split.

    Attributes:
        name: Short and stable; part of the column's id.
        label: Heading.
        function: Operation.
        field: Field for the operation; None for a count of documents.
        shown: Data type.
        where: Filter of the documents.
    """

    name: str
    label: str
    function: Function
    field: str | None = None
    shown: Shown = Shown.NUMBER
    where: Where = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The value of a field in the newest document that has the field.

    Attributes:
        name: Short and stable; part of the column's id.
        label: Heading.
        field: The field.
        by: Field of instants that finds the newest document.
        shown: Data type of the field.
        where: Filter of the documents; two of them must not have the same instant.
    """

    name: str
    label: str
    field: str
    by: str
    shown: Shown = Shown.NUMBER
    where: Where = ALL

    @property
    def having(self) -> Where:
        """Filter of the documents that also have the field."""
        return replace(self.where, present=self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The number of documents of one filter minus that of another.

    Attributes:
        name: Short and stable; part of the column's id.
        label: Heading.
        of: Filter of the documents that are added.
        less: Filter of the documents that are subtracted.
    """

    name: str
    label: str
    of: Where
    less: Where


Metric: TypeAlias = Figure | Latest | Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Figures of one data view; a chart may draw several layers over each other.

    Attributes:
        view: Data view of the documents.
        splits: Splits of the documents, the outermost first.
        metrics: Figures of each part.
        chart: Form, if it differs from the panel's; bars use the right axis.
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
        title: Title above the panel.
        about: What the panel shows, and how to read it.
        chart: Form in which it is drawn.
        layers: Layers; only lines and bars have more than one.
        where: Filter of the documents in all layers.
        sorted_by: For a table: name of the figure that sorts it, descending.
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
    """A row of panels.

    Attributes:
        height: Height in rows of Kibana's grid.
        panels: Width in columns (of 48) and panel, from left to right.
    """

    height: int
    panels: tuple[tuple[int, Panel], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A list above the panels from which the user chooses one value.

    Attributes:
        field: The field.
        label: Label of the list.
        view: Data view of its values.
    """

    field: str
    label: str
    view: DataView


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard.

    Attributes:
        name: Short and stable; part of its id.
        title: Title in Kibana.
        about: Purpose of the dashboard.
        rows: Rows of panels, from the top.
        controls: Lists of values above the panels.
        span: Begin of the initial time range, in Kibana's notation.
    """

    name: str
    title: str
    about: str
    rows: tuple[PanelRow, ...]
    controls: tuple[Control, ...] = ()
    span: str = "now-7d"

    def panels(self) -> Iterator[Panel]:
        """Returns all panels, from the top."""
        for row in self.rows:
            yield from (panel for _, panel in row.panels)
