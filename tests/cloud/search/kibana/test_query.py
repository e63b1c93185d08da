"""Lens's columns and the query's aggregations are two forms of one description."""

import json

import pytest

from cloud.config import Period
from cloud.search.kibana.lens import attributes, kql
from cloud.search.kibana.objects import DASHBOARDS
from cloud.search.kibana.panel import (
    ALL,
    Chart,
    DataView,
    Difference,
    Figure,
    Function,
    Hours,
    Latest,
    Layer,
    Panel,
    Shown,
    Values,
    Where,
)
from cloud.search.kibana.query import Scope, condition, question, rows
from cloud.search.names import IndexNames
from contract.records import Kind

NAMES = IndexNames("dewline", Period.DAY)
SCOPE = Scope(from_ms=1000, to_ms=2000)
TIMED = DataView(name="v", title="V", kind=Kind.ALERT, time_field="@timestamp")
EVER = DataView(name="w", title="W", kind=None, time_field=None)
RAISED = Where(equal=(("state", "raised"),))
CLEARED = Where(equal=(("state", "cleared"),))
DSL = {
    "terms": "terms",
    "date_histogram": "date_histogram",
    "unique_count": "cardinality",
    "min": "min",
    "max": "max",
    "average": "avg",
    "sum": "sum",
    "last_value": "top_hits",
}


def panel(layer, where=ALL):
    return Panel(name="p", title="P", about="p", chart=Chart.TABLE, layers=(layer,), where=where)


def asked(layer, scope=SCOPE, where=ALL):
    return question(panel(layer, where), layer, NAMES, scope)


def aggregations(part):
    """Kinds of aggregation with their fields, however deep; filters are passed through."""
    for told in part.get("aggs", {}).values():
        for kind, inner in told.items():
            if kind == "top_hits":
                yield kind, inner["docvalue_fields"][0]["field"]
            elif kind not in ("filter", "aggs"):
                yield kind, inner["field"]
        yield from aggregations(told)


@pytest.mark.parametrize("shown", [p for d in DASHBOARDS for p in d.panels()], ids=lambda p: p.name)
def test_the_stored_columns_ask_for_the_same_aggregations(shown):
    stored = attributes(shown)["state"]["datasourceStates"]["formBased"]["layers"].values()
    for layer, kept in zip(shown.layers, stored, strict=True):
        wanted = sorted(
            (DSL[column["operationType"]], column["sourceField"])
            for column in kept["columns"].values()
            if column["operationType"] in DSL
        )
        assert sorted(aggregations(question(shown, layer, NAMES, SCOPE).body)) == wanted


@pytest.mark.parametrize(
    ("where", "text", "body"),
    [
        (Where(), "", ([], [])),
        (RAISED, 'state : "raised"', ([{"term": {"state": "raised"}}], [])),
        (
            Where(equal=(("late", False),), unequal=(("a", "b"),)),
            'late : false and not a : "b"',
            ([{"term": {"late": False}}], [{"term": {"a": "b"}}]),
        ),
        (
            Where(present="x", missing="y"),
            "x : * and not y : *",
            ([{"exists": {"field": "x"}}], [{"exists": {"field": "y"}}]),
        ),
    ],
)
def test_a_condition_in_both_languages(where, text, body):
    assert kql(where) == text
    assert condition(where) == {"bool": {"filter": body[0], "must_not": body[1]}}


def test_the_span_and_the_choice_are_filters():
    layer = Layer(view=TIMED, splits=(), metrics=())
    found = asked(layer, Scope(from_ms=1, to_ms=2, device_id="gw-1"), RAISED)
    assert found.index == "dewline-alert"
    span = {"gte": 1, "lte": 2, "format": "epoch_millis"}
    assert found.body["query"]["bool"]["filter"] == [
        {"term": {"state": "raised"}},
        {"range": {"@timestamp": span}},
        {"term": {"device_id": "gw-1"}},
    ]


def test_a_view_without_a_time_field_looks_at_all_times():
    found = asked(Layer(view=EVER, splits=(), metrics=()))
    assert found.index == "dewline-cloud-prediction"
    assert found.body["query"] == {"bool": {"filter": [], "must_not": []}}


LAYER = Layer(
    view=TIMED,
    splits=(
        Values(field="device_id", label="D", size=9, by="last"),
        Hours(field="@timestamp", label="H"),
    ),
    metrics=(
        Figure(name="all", label="A", function=Function.COUNT),
        Figure(name="raised", label="R", function=Function.COUNT, where=RAISED),
        Figure(name="last", label="L", function=Function.MAX, field="seq"),
        Figure(name="mean", label="M", function=Function.AVERAGE, field="seq", where=RAISED),
        Latest(name="value", label="V", field="basis", by="@timestamp", shown=Shown.WORD),
        Difference(name="on", label="O", of=RAISED, less=CLEARED),
    ),
)


def test_splits_are_nested_and_figures_innermost():
    body = asked(LAYER).body
    outer = body["aggs"]["split"]
    assert outer["terms"] == {"field": "device_id", "size": 9, "order": {"last": "asc"}}
    inner = outer["aggs"]["split"]
    assert inner["date_histogram"]["calendar_interval"] == "1h"
    assert set(inner["aggs"]) == {"raised", "last", "mean", "value", "on_of", "on_less"}
    assert inner["aggs"]["mean"]["aggs"] == {"inner": {"avg": {"field": "seq"}}}
    assert body["size"] == 0


def test_an_answer_becomes_rows():
    def bucket(key, **parts):
        return {"key": key, "doc_count": 5} | parts

    hits = {"hits": {"hits": [{"fields": {"basis": ["observed"]}}]}}
    hour = bucket(
        3_600_000,
        raised={"doc_count": 3},
        last={"value": 8.0},
        mean={"doc_count": 0, "inner": {"value": None}},
        value={"doc_count": 1, "inner": hits},
        on_of={"doc_count": 3},
        on_less={"doc_count": 4},
    )
    silent = hour | {"key": 7_200_000, "value": {"inner": {"hits": {"hits": []}}}}
    answer = {
        "hits": {"total": {"value": 5}},
        "aggregations": {"split": {"buckets": [bucket("gw-1", split={"buckets": [hour, silent]})]}},
    }
    json.dumps(answer)
    assert rows(LAYER, answer) == [
        ("gw-1", 3_600_000.0, 5.0, 3.0, 8.0, None, "observed", -1.0),
        ("gw-1", 7_200_000.0, 5.0, 3.0, 8.0, None, None, -1.0),
    ]


def test_without_splits_there_is_one_row_and_without_an_index_none_is_made_up():
    layer = Layer(view=TIMED, splits=(), metrics=(LAYER.metrics[0],))
    assert rows(layer, {"hits": {"total": {"value": 7}}}) == [(7.0,)]
    assert rows(LAYER, {"hits": {"total": {"value": 0}}}) == []


def test_an_index_that_does_not_exist_yet_counts_nothing():
    """Elasticsearch then answers without aggregations at all."""
    layer = Layer(view=TIMED, splits=(), metrics=LAYER.metrics[1:])
    found = rows(layer, {"hits": {"total": {"value": 0}}})
    assert found == [(0.0, None, None, None, 0.0)]
