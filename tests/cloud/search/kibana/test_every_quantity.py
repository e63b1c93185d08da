"""Every quantity, from a simulated chip to conditions, both stores, report and panels."""

import pytest
from elasticsearch import Elasticsearch as RawClient
from sqlalchemy import func, select

from cloud.reports.page import render
from cloud.reports.queries import collect
from cloud.warehouse.tables import FACTS
from contract.quantities import Quality, Quantity
from contract.records import AlertState, Kind
from deploy.local.kibana import check_panels
from models.conditions import load_conditions

GOOD = {"term": {"quality": "good"}}
pytestmark = [pytest.mark.services, pytest.mark.spark]

# condition, and how the report names what it compares
RULES = {
    "muggy": "Absolute humidity of hall above 6.8 g/m³",
    "stale": "Carbon dioxide of office above 900 ppm",
    "bright": "Illuminance of window above 5000 lx",
    "full": "Voltage of battery above 12.5 V",
    "open": "Contact (1 closed, 0 open) of door below 0.5",
}


@pytest.mark.parametrize("quantity", list(Quantity))
def test_the_stores_have_the_same_readings(stores, quantity):
    at = FACTS[Kind.READING].c
    query = select(func.count(), func.min(at.value), func.max(at.value))
    with stores.engine.connect() as connection:
        found = connection.execute(
            query.where(at.quantity == quantity.value, at.quality == Quality.GOOD.value)
        ).one()
    total, low, high = found
    assert total > 50
    assert quantity.facts.low <= low <= high <= quantity.facts.high
    assert low < high
    with RawClient(stores.search_url) as search:
        searched = search.search(
            index=stores.names.alias(Kind.READING),
            size=0,
            track_total_hits=True,
            query={"bool": {"filter": [{"term": {"quantity": quantity}}, GOOD]}},
            aggs={name: {name: {"field": "value"}} for name in ("min", "max")},
        )
    figures = searched["aggregations"]
    assert searched["hits"]["total"]["value"] == total
    assert figures["min"]["value"] == pytest.approx(low)
    assert figures["max"]["value"] == pytest.approx(high)


@pytest.mark.parametrize("condition_id", list(RULES))
def test_the_gateways_judged_it(stores, condition_id):
    at = FACTS[Kind.ALERT].c
    query = select(at.state, func.count()).where(
        at.condition_id == condition_id, at.device_id == "gw-1"
    )
    with stores.engine.connect() as connection:
        states = dict(connection.execute(query.group_by(at.state)).all())
    assert set(states) == {AlertState.RAISED.value, AlertState.CLEARED.value}


def test_the_report_names_what_is_compared_and_draws_it(stores, declared):
    conditions = load_conditions(list(declared), "the gateways'")
    page = render(collect(stores.engine, conditions, stores.scope.to_ms))
    for name in RULES.values():
        assert name in page
        assert f"{name[0].lower()}{name.partition(' above')[0].partition(' below')[0][1:]}" in page


def test_each_quantity_has_a_panel_with_the_warehouses_figures(stores):
    checks = check_panels(stores.search_url, stores.engine, stores.scope, ("gw-1",), stores.names)
    of_quantity = {
        check.name.split("/")[1]: check
        for check in checks
        if check.name.split("/")[1] in list(Quantity)
    }
    assert set(of_quantity) == set(Quantity)
    for check in of_quantity.values():
        assert check.apart is None
        assert len(check.got) > 20
