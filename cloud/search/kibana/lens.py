"""Makes Kibana's form of a panel: a saved object of type `lens`.

Names and structure are those of exports by Kibana 8.9 to 8.19; later versions migrate them on
import. `last_value` shows lists, because only then Kibana queries `top_hits` and not `top_metrics`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloud.search.kibana.panel import (
    ALL,
    Chart,
    Difference,
    Figure,
    Function,
    Hours,
    Latest,
    Layer,
    Panel,
    Shown,
    Split,
    Values,
    Where,
)

__all__ = ["LayerIds", "attributes", "kql", "layer_references"]

_RECORDS = "___records___"  # Lens's name for a count of documents
_TYPES = {
    Chart.TABLE: "lnsDatatable",
    Chart.NUMBER: "lnsMetric",
    Chart.LINE: "lnsXY",
    Chart.BAR: "lnsXY",
}
_SERIES = {Chart.LINE: "line", Chart.BAR: "bar_stacked"}


@dataclass(frozen=True, slots=True)
class LayerIds:
    """Makes the ids within one layer, different from those of a panel's other layers."""

    number: int

    @property
    def layer(self) -> str:
        """Id of the layer itself."""
        return f"layer-{self.number}"

    def split(self, level: int) -> str:
        """Returns the id of a split's column."""
        return f"{self.layer}-split-{level}"

    def metric(self, name: str) -> str:
        """Returns the id of a figure's column."""
        return f"{self.layer}-{name}"


def attributes(panel: Panel) -> dict[str, Any]:
    """Returns the attributes of the panel's saved object."""
    layers = {ids.layer: _layer(ids, layer) for ids, layer in _numbered(panel)}
    return {
        "title": panel.title,
        "description": panel.about,
        "visualizationType": _TYPES[panel.chart],
        "state": {
            "visualization": _visualization(panel),
            "query": {"query": kql(panel.where), "language": "kuery"},
            "filters": [],
            "datasourceStates": {"formBased": {"layers": layers}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def layer_references(panel: Panel) -> Iterator[tuple[str, Layer]]:
    """Returns each layer with the name of its reference to a data view."""
    for ids, layer in _numbered(panel):
        yield f"indexpattern-datasource-layer-{ids.layer}", layer


def kql(where: Where) -> str:
    """Returns a filter in Kibana's query language (KQL)."""
    parts = [f"{name} : {_literal(value)}" for name, value in where.equal]
    parts += [f"not {name} : {_literal(value)}" for name, value in where.unequal]
    if where.present is not None:
        parts.append(f"{where.present} : *")
    if where.missing is not None:
        parts.append(f"not {where.missing} : *")
    return " and ".join(parts)


def _literal(value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"'


def _numbered(panel: Panel) -> Iterator[tuple[LayerIds, Layer]]:
    for number, layer in enumerate(panel.layers):
        yield LayerIds(number), layer


def _layer(ids: LayerIds, layer: Layer) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for level, split in enumerate(layer.splits):
        columns[ids.split(level)] = _split(ids, split)
    for metric in layer.metrics:
        own = ids.metric(metric.name)
        if isinstance(metric, Difference):
            columns |= _terms_of(own, metric) | {own: _difference(own, metric)}
        else:
            columns[own] = _metric(metric)
    return {
        "columns": columns,
        "columnOrder": list(columns),
        "incompleteColumns": {},
        "sampling": 1,
    }


def _split(ids: LayerIds, split: Split) -> dict[str, Any]:
    if isinstance(split, Hours):
        params = {"interval": "1h", "includeEmptyRows": False, "dropPartials": False}
        return _column(split.label, "date", "date_histogram", scale="interval", bucketed=True) | {
            "sourceField": split.field,
            "params": params,
        }
    return _column(split.label, "string", "terms", scale="ordinal", bucketed=True) | {
        "sourceField": split.field,
        "params": {
            "size": split.size,
            "orderBy": _order(ids, split),
            "orderDirection": "asc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }


def _order(ids: LayerIds, split: Values) -> dict[str, Any]:
    if split.by is None:
        return {"type": "alphabetical", "fallback": False}
    return {"type": "column", "columnId": ids.metric(split.by)}


def _metric(metric: Figure | Latest) -> dict[str, Any]:
    if isinstance(metric, Latest):
        scale = "ordinal" if metric.shown is Shown.WORD else "ratio"
        return _column(metric.label, metric.shown, "last_value", scale=scale) | {
            "sourceField": metric.field,
            "filter": _filter(metric.having),
            "params": {"sortField": metric.by, "showArrayValues": True},
        }
    column = _column(metric.label, metric.shown, metric.function, scale="ratio") | {
        "sourceField": metric.field or _RECORDS,
        "params": {"emptyAsNull": metric.function is not Function.COUNT},
    }
    return column if metric.where == ALL else column | {"filter": _filter(metric.where)}


def _difference(own: str, metric: Difference) -> dict[str, Any]:
    return _column(metric.label, "number", "formula", scale="ratio") | {
        "params": {"formula": _formula(metric), "isFormulaBroken": False},
        "references": [f"{own}X2"],
    }


def _terms_of(own: str, metric: Difference) -> dict[str, Any]:
    """Returns the hidden columns that Lens stores for a formula: its two counts and the term."""
    counts = [f"{own}X0", f"{own}X1"]
    parts: dict[str, Any] = {}
    for name, where in zip(counts, (metric.of, metric.less), strict=True):
        parts[name] = _column(f"Part of {metric.label}", "number", "count", scale="ratio") | {
            "sourceField": _RECORDS,
            "filter": _filter(where),
            "params": {"emptyAsNull": False},
        }
    formula = _formula(metric)
    tree = {
        "type": "function",
        "name": "subtract",
        "args": counts,
        "location": {"min": 0, "max": len(formula)},
        "text": formula,
    }
    parts[f"{own}X2"] = _column(f"Part of {metric.label}", "number", "math", scale="ratio") | {
        "params": {"tinymathAst": tree},
        "references": counts,
    }
    return parts


def _formula(metric: Difference) -> str:
    return f"count(kql='{kql(metric.of)}') - count(kql='{kql(metric.less)}')"


def _filter(where: Where) -> dict[str, str]:
    return {"query": kql(where), "language": "kuery"}


def _column(
    label: str, type_: str, operation: str, *, scale: str, bucketed: bool = False
) -> dict[str, Any]:
    return {
        "label": label,
        "customLabel": True,
        "dataType": str(type_),
        "operationType": str(operation),
        "isBucketed": bucketed,
        "scale": scale,
    }


def _visualization(panel: Panel) -> Mapping[str, Any]:
    if panel.chart in _SERIES:
        return _lines(panel)
    ((ids, layer),) = _numbered(panel)
    own: dict[str, Any] = {"layerId": ids.layer, "layerType": "data"}
    if panel.chart is Chart.NUMBER:
        return own | {"metricAccessor": ids.metric(layer.metrics[0].name)}
    columns = [ids.split(level) for level in range(len(layer.splits))]
    columns += [ids.metric(m.name) for m in layer.metrics]
    own["columns"] = [{"columnId": column} for column in columns]
    if panel.sorted_by is not None:
        own["sorting"] = {"columnId": ids.metric(panel.sorted_by), "direction": "desc"}
    return own


def _lines(panel: Panel) -> dict[str, Any]:
    return {
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "preferredSeriesType": _SERIES[panel.chart],
        "layers": [_series(ids, layer, panel.chart) for ids, layer in _numbered(panel)],
    }


def _series(ids: LayerIds, layer: Layer, chart: Chart) -> dict[str, Any]:
    accessors = [ids.metric(m.name) for m in layer.metrics]
    series: dict[str, Any] = {
        "layerId": ids.layer,
        "layerType": "data",
        "seriesType": _SERIES[layer.chart or chart],
        "accessors": accessors,
    }
    for level, split in enumerate(layer.splits):
        key = "xAccessor" if isinstance(split, Hours) else "splitAccessor"
        series[key] = ids.split(level)
    if layer.chart is Chart.BAR and chart is not Chart.BAR:
        series["yConfig"] = [{"forAccessor": a, "axisMode": "right"} for a in accessors]
    return series
