"""Makes the query DSL of a panel's layer, and the table from its answer. Pure.

The query computes the same as Kibana's own query for the layer (`cloud.search.kibana.lens`). Tests
and the demo send it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cloud.search.kibana.panel import (
    ALL,
    DataView,
    Difference,
    Figure,
    Function,
    Hours,
    Latest,
    Layer,
    Metric,
    Panel,
    Split,
    Where,
)
from cloud.search.names import IndexNames

__all__ = ["Cell", "Question", "Row", "Scope", "alias", "condition", "question", "rows"]

Cell: TypeAlias = str | float | None
Row: TypeAlias = tuple[Cell, ...]

_AGGREGATIONS = {
    Function.UNIQUE: "cardinality",
    Function.MIN: "min",
    Function.MAX: "max",
    Function.AVERAGE: "avg",
    Function.SUM: "sum",
}
_SPLIT = "split"  # name of the aggregation on each level
# Result of an aggregation over no documents: without an index, the answer has no aggregation.
_NOTHING: Mapping[str, Any] = {"doc_count": 0, "value": None, "hits": {"hits": []}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Settings of a dashboard.

    Attributes:
        from_ms: Begin of the time range, ms since 1970 UTC.
        to_ms: End of the time range, inclusive, ms since 1970 UTC.
        device_id: The chosen gateway; None for all.
    """

    from_ms: int
    to_ms: int
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A search.

    Attributes:
        index: The alias.
        body: Query DSL.
    """

    index: str
    body: Mapping[str, Any]


def alias(view: DataView, names: IndexNames) -> str:
    """Returns the alias of a data view."""
    return names.forecasts if view.kind is None else names.alias(view.kind)


def question(panel: Panel, layer: Layer, names: IndexNames, scope: Scope) -> Question:
    """Returns the search for one layer of a panel."""
    wanted = condition(panel.where)
    filters = wanted["bool"].setdefault("filter", [])
    if layer.view.time_field is not None:
        span = {"gte": scope.from_ms, "lte": scope.to_ms, "format": "epoch_millis"}
        filters.append({"range": {layer.view.time_field: span}})
    if scope.device_id is not None:
        filters.append({"term": {"device_id": scope.device_id}})
    body = {"size": 0, "track_total_hits": True, "query": wanted} | _parts(layer, layer.splits)
    return Question(alias(layer.view, names), body)


def condition(where: Where) -> dict[str, Any]:
    """Returns a filter as query DSL."""
    filters: list[dict[str, Any]] = [{"term": {name: value}} for name, value in where.equal]
    if where.present is not None:
        filters.append({"exists": {"field": where.present}})
    refused: list[dict[str, Any]] = [{"term": {name: value}} for name, value in where.unequal]
    if where.missing is not None:
        refused.append({"exists": {"field": where.missing}})
    return {"bool": {"filter": filters, "must_not": refused}}


def _parts(layer: Layer, splits: Sequence[Split]) -> dict[str, Any]:
    if not splits:
        return {"aggs": {k: v for m in layer.metrics for k, v in _metric(m).items()}}
    split, *inner = splits
    return {"aggs": {_SPLIT: _bucket(split, layer) | _parts(layer, inner)}}


def _bucket(split: Split, layer: Layer) -> dict[str, Any]:
    if isinstance(split, Hours):
        hours = {"field": split.field, "calendar_interval": "1h", "min_doc_count": 1}
        return {"date_histogram": hours}
    order = {"_key": "asc"} if split.by is None else {_path(split.by, layer): "asc"}
    return {"terms": {"field": split.field, "size": split.size, "order": order}}


def _path(name: str, layer: Layer) -> str:
    figure = next(m for m in layer.metrics if m.name == name)
    return "_count" if isinstance(figure, Figure) and _is_plain_count(figure) else name


def _metric(metric: Metric) -> dict[str, Any]:
    """Returns the aggregations of a figure; none for a plain count, which every bucket has."""
    if isinstance(metric, Difference):
        return {
            f"{metric.name}_of": {"filter": condition(metric.of)},
            f"{metric.name}_less": {"filter": condition(metric.less)},
        }
    if isinstance(metric, Latest):
        return {metric.name: _latest(metric)}
    if _is_plain_count(metric):
        return {}
    inner = None
    if metric.function is not Function.COUNT:
        inner = {_AGGREGATIONS[metric.function]: {"field": metric.field}}
    if metric.where == ALL:
        return {metric.name: inner}
    filtered: dict[str, Any] = {"filter": condition(metric.where)}
    return {metric.name: filtered if inner is None else filtered | {"aggs": {"inner": inner}}}


def _is_plain_count(figure: Figure) -> bool:
    return figure.function is Function.COUNT and figure.where == ALL


def _latest(metric: Latest) -> dict[str, Any]:
    hits = {
        "size": 1,
        "sort": [{metric.by: "desc"}],
        "_source": False,
        "docvalue_fields": [{"field": metric.field}],
    }
    return {
        "filter": condition(metric.having),
        "aggs": {"inner": {"top_hits": hits}},
    }


def rows(layer: Layer, answer: Mapping[str, Any]) -> list[Row]:
    """Returns the table of an answer: one row per part, with its keys first, then the figures."""
    whole = dict(answer.get("aggregations", {}))
    whole["doc_count"] = answer["hits"]["total"]["value"]
    return list(_rows(layer, layer.splits, whole, ()))


def _rows(
    layer: Layer, splits: Sequence[Split], part: Mapping[str, Any], keys: Row
) -> Iterator[Row]:
    if not splits:
        yield keys + tuple(_cell(m, part) for m in layer.metrics)
        return
    split, *inner = splits
    for bucket in part.get(_SPLIT, {"buckets": []})["buckets"]:
        yield from _rows(layer, inner, bucket, (*keys, _key(split, bucket)))


def _key(split: Split, bucket: Mapping[str, Any]) -> Cell:
    key = bucket["key"]
    return float(key) if isinstance(split, Hours) else str(bucket.get("key_as_string", key))


def _cell(metric: Metric, part: Mapping[str, Any]) -> Cell:
    if isinstance(metric, Difference):
        of, less = (part.get(f"{metric.name}_{side}", _NOTHING) for side in ("of", "less"))
        return float(of["doc_count"] - less["doc_count"])
    if isinstance(metric, Figure) and _is_plain_count(metric):
        return float(part["doc_count"])
    found = part.get(metric.name, _NOTHING)
    if isinstance(metric, Figure) and metric.function is Function.COUNT:
        return float(found["doc_count"])
    inner = found.get("inner", found)
    return _newest(metric, inner) if isinstance(metric, Latest) else _number(inner["value"])


def _newest(metric: Latest, found: Mapping[str, Any]) -> Cell:
    hits = found["hits"]["hits"]
    if not hits:
        return None
    (value,) = hits[0]["fields"][metric.field]
    return value if isinstance(value, str) else float(value)


def _number(value: float | None) -> Cell:
    return None if value is None else float(value)
