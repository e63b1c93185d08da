"""Every panel's query on a real Elasticsearch gives the numbers that MySQL gives by hand."""

import re
from collections import Counter

import pytest
from elasticsearch import Elasticsearch as RawClient

from cloud.search.kibana.lens import kql
from cloud.search.kibana.objects import DASHBOARDS
from cloud.search.kibana.panel import ALL, Difference, Figure
from cloud.search.kibana.query import alias, condition
from contract.records import Kind
from deploy.local.kibana import check_panels, panel_sql, panel_table

pytestmark = [pytest.mark.services, pytest.mark.spark]

DEVICES = ("gw-1", "gw-2", "gw-3")


@pytest.fixture(scope="module")
def checks(stores):
    return check_panels(stores.search_url, stores.engine, stores.scope, DEVICES, stores.names)


@pytest.fixture
def raw(stores):
    client = RawClient(stores.search_url)
    yield client
    client.close()


def test_every_panel_shows_what_the_warehouse_has(checks):
    for line in panel_table(checks):
        print(*line, sep=" | ")
    assert {c.name: c.apart for c in checks if c.apart is not None} == {}


def test_every_panel_was_asked_once_for_each_choice(checks):
    asked = Counter(c.name.split(" ")[0] for c in checks)
    assert asked == {
        name: len(DEVICES) if name.startswith("gateway/") else 1 for name in panel_sql()
    }


def test_each_panel_has_something_to_show(checks):
    """Else an equal answer would say nothing."""
    shown = {c.name.split(" ")[0] for c in checks if any(row[-1] for row in c.got)}
    assert shown == set(panel_sql())
    assert all(len(c.got) > 3 for c in checks if c.name.startswith("gateway/temperature/0"))


def test_what_is_known_of_the_third_gateway(checks):
    found = {c.name: c.got for c in checks}
    assert found["fleet/gateways/0"] == ((3.0,),)
    assert found["fleet/undated/0"] == ((5.0,),)
    assert ("gw-3", "unclean_stop", 2.0, 42.0) in found["fleet/losses/0"]
    assert ("gw-3", "budget", 1.0, 0.0) in found["fleet/losses/0"]
    now = {row[:3]: row[3] for row in found["fleet/alerts-now/0"]}
    assert now["gw-3", "damp", "observed"] == 1.0
    assert now["gw-3", "damp", "no_data"] == 0.0
    (silent,) = (row for row in found["fleet/silent/0"] if row[0] == "gw-3")
    assert silent[3:] == (7.0, 70_001.0, "0.9")
    # three of the temperatures are not good, two of these have no value
    signals = {row[:2]: row[2:6] for row in found["gateway/signals/0 gw-3"]}
    assert signals["hall", "temperature"] == (9.0, 6.0, 19.99, 155.0)
    # of thinned rows the means alone
    means = [row[2] for row in found["gateway/temperature/0 gw-3"] if row[0] == "roof"]
    assert means == [2.0, 2.1]
    # the shadow is in the span, and not shown
    (forecast,) = (row for row in found["fleet/forecasts/0"] if row[0] == "gw-3")
    assert forecast[3] == 0.125


def test_a_wrong_number_is_seen(stores, raw):
    """One reading less in Elasticsearch, one more failure: each panel that shows it says so."""
    index = f"{stores.names.alias(Kind.READING)}-2013.01"
    query = {"bool": {"filter": [{"term": {"device_id": "gw-1"}}, {"term": {"quality": "good"}}]}}
    (hit,) = raw.search(index=index, query=query, size=1, sort=[{"@timestamp": "asc"}], from_=300)[
        "hits"
    ]["hits"]
    raw.delete(index=index, id=hit["_id"], refresh=True)
    try:
        found = check_panels(
            stores.search_url, stores.engine, stores.scope, ("gw-1", "gw-2"), stores.names
        )
    finally:
        raw.index(index=index, id=hit["_id"], document=hit["_source"], refresh=True)
    apart = {c.name for c in found if c.apart is not None}
    quantity = hit["_source"]["quantity"]
    assert {"fleet/delivery/0", "fleet/delivery/1", "gateway/quality/0 gw-1"} <= apart
    assert {f"gateway/{quantity}/0 gw-1", "gateway/signals/0 gw-1"} <= apart
    assert len(apart) == 5  # and no other
    told = [line for line in panel_table(found) if line[0].startswith("gateway/quality/0 gw-1")]
    assert told[0][2] != told[0][3]


def test_conditions_mean_the_same_in_both_languages(stores, raw):
    """Kibana's language is not Elasticsearch's, but that of `query_string` reads what is used."""
    compared = 0
    for view, where in _conditions():
        words = kql(where).replace(" and ", " AND ").replace("not ", "NOT ").replace(" : ", ":")
        assert re.search(r"[A-Z]{2,}|:", words)
        counts = [
            raw.count(index=alias(view, stores.names), query=query)["count"]
            for query in (condition(where), {"query_string": {"query": words}})
        ]
        assert counts[0] == counts[1], words
        compared += counts[0] > 0
    assert compared >= 10


def _conditions():
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            for layer in panel.layers:
                own = [panel.where]
                for metric in layer.metrics:
                    if isinstance(metric, Difference):
                        own += [metric.of, metric.less]
                    elif isinstance(metric, Figure):
                        own.append(metric.where)
                yield from ((layer.view, where) for where in own if where != ALL)
