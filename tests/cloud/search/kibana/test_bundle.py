"""The bundle of the default prefix, without a Kibana: what can be known of it is checked here.

That a Kibana takes it is not: none was to be had.
"""

import json
from collections import Counter
from itertools import combinations

import pytest

from cloud.config import Period
from cloud.search.kibana.objects import COLUMNS, DASHBOARDS, bundle
from cloud.search.kibana.panel import Dashboard, PanelRow
from cloud.search.kibana.views import VIEWS
from cloud.search.names import IndexNames
from contract.quantities import Quantity

# what Lens can do with the aggregations that the project's reduced Elasticsearch has
AGGREGATIONS = {
    "terms",
    "date_histogram",
    "count",
    "unique_count",
    "min",
    "max",
    "average",
    "sum",
    "last_value",
}
COMPUTED = {"formula", "math"}  # in the browser
NUMBERS = {"long", "double", "float"}
FITTING = {
    "terms": {"keyword"},
    "date_histogram": {"date"},
    "unique_count": {"keyword", "long"},
    "min": NUMBERS | {"date"},
    "max": NUMBERS | {"date"},
    "average": NUMBERS,
    "sum": NUMBERS,
    "last_value": NUMBERS | {"keyword", "boolean", "date"},
}
SHOWN = {"number": NUMBERS, "date": {"date"}, "string": {"keyword"}}
EVERY_TYPE = {"index-pattern", "lens", "dashboard"}


def of_type(objects, name):
    return [made for made in objects if made["type"] == name]


def layers(made):
    return made["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]


def columns(objects):
    """Each column with its panel and the alias behind its layer."""
    views = {view["id"]: view["attributes"]["title"] for view in of_type(objects, "index-pattern")}
    for made in of_type(objects, "lens"):
        named = {r["name"]: views[r["id"]] for r in made["references"]}
        for layer_id, layer in layers(made).items():
            alias = named[f"indexpattern-datasource-layer-{layer_id}"]
            for column_id, column in layer["columns"].items():
                yield f"{made['id']}: {column_id}", alias, column


def test_every_quantity_has_its_panel(objects):
    titles = {made["attributes"]["title"] for made in of_type(objects, "lens")}
    for quantity in Quantity:
        assert f"{quantity.facts.title}, {quantity.facts.shown_unit}".rstrip(", ") in titles


def test_each_line_is_an_object_of_a_known_type(objects):
    assert {made["type"] for made in objects} == EVERY_TYPE
    assert len(of_type(objects, "dashboard")) == 2
    assert len(of_type(objects, "index-pattern")) == len(VIEWS)
    keys = {"type", "id", "attributes", "references", "managed"}
    versions = {"coreMigrationVersion", "typeMigrationVersion"}
    assert all(set(made) == keys | versions for made in objects)


def test_no_id_stands_twice(objects):
    counts = Counter((made["type"], made["id"]) for made in objects)
    assert set(counts.values()) == {1}


def test_texts_that_hold_json_hold_json(objects):
    for made in of_type(objects, "dashboard"):
        attributes = made["attributes"]
        assert isinstance(json.loads(attributes["panelsJSON"]), list)
        assert json.loads(attributes["optionsJSON"])["useMargins"] is True
        source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        assert set(source) == {"query", "filter"}
        controls = attributes.get("controlGroupInput")
        if controls is not None:
            assert json.loads(controls["panelsJSON"])
            assert json.loads(controls["ignoreParentSettingsJSON"])


def test_every_reference_names_an_object_further_up(objects):
    seen = set()
    for made in objects:
        for reference in made["references"]:
            assert (reference["type"], reference["id"]) in seen, made["id"]
        names = [reference["name"] for reference in made["references"]]
        assert len(set(names)) == len(names)
        seen.add((made["type"], made["id"]))


def test_every_name_that_is_used_is_referred_to_and_no_other(objects):
    for made in of_type(objects, "lens"):
        wanted = {f"indexpattern-datasource-layer-{layer}" for layer in layers(made)}
        assert {r["name"] for r in made["references"]} == wanted
    for made in of_type(objects, "dashboard"):
        panels = json.loads(made["attributes"]["panelsJSON"])
        wanted = {f"{p['panelIndex']}:{p['panelRefName']}" for p in panels}
        controls = made["attributes"].get("controlGroupInput", {"panelsJSON": "{}"})
        wanted |= {
            f"controlGroup_{name}:optionsListDataView"
            for name in json.loads(controls["panelsJSON"])
        }
        assert {r["name"] for r in made["references"]} == wanted


def test_every_panel_stands_on_one_dashboard(objects):
    shown = [r["id"] for d in of_type(objects, "dashboard") for r in d["references"]]
    assert sorted(i for i in shown if "-panel-" in i) == sorted(
        made["id"] for made in of_type(objects, "lens")
    )


def test_panels_lie_in_the_grid_and_not_over_each_other(objects):
    for made in of_type(objects, "dashboard"):
        places = [p["gridData"] for p in json.loads(made["attributes"]["panelsJSON"])]
        for place in places:
            assert place["x"] >= 0
            assert place["w"] > 0
            assert place["h"] > 0
            assert place["x"] + place["w"] <= COLUMNS
        for one, other in combinations(places, 2):
            beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert beside or below, (one["i"], other["i"])


def test_data_views_look_at_aliases_and_their_times_are_dates(objects, mappings):
    for made in of_type(objects, "index-pattern"):
        fields = mappings[made["attributes"]["title"]]
        time_field = made["attributes"].get("timeFieldName")
        assert time_field is None or fields[time_field]["type"] == "date"


def test_every_field_is_in_the_index_with_a_fitting_type(objects, mappings):
    looked_at = 0
    for name, alias, column in columns(objects):
        operation = column["operationType"]
        if column.get("sourceField", "___records___") == "___records___":
            assert operation in {"count"} | COMPUTED, name
            continue
        field = mappings[alias][column["sourceField"]]
        assert field["type"] in FITTING[operation], name
        assert field.get("doc_values", True), name
        if operation != "unique_count":
            assert field["type"] in SHOWN[column["dataType"]], name
        if operation == "last_value":
            assert mappings[alias][column["params"]["sortField"]]["type"] == "date"
            assert column["params"]["showArrayValues"] is True  # else it asks for top_metrics
        looked_at += 1
    assert looked_at > 60


def test_controls_offer_a_field_that_all_documents_of_the_dashboard_have(objects, mappings):
    (made,) = (d for d in of_type(objects, "dashboard") if "controlGroupInput" in d["attributes"])
    used = {alias for name, alias, _ in columns(objects) if "-panel-gateway-" in name}
    (control,) = json.loads(made["attributes"]["controlGroupInput"]["panelsJSON"]).values()
    for alias in used:
        assert mappings[alias][control["explicitInput"]["fieldName"]]["type"] == "keyword"


def test_every_filtered_field_is_in_the_index(objects, mappings):
    views = {view["id"]: view["attributes"]["title"] for view in of_type(objects, "index-pattern")}
    filtered = [
        (a, column["filter"]["query"]) for _, a, column in columns(objects) if "filter" in column
    ]
    for made in of_type(objects, "lens"):
        query = made["attributes"]["state"]["query"]["query"]
        filtered += [(views[r["id"]], query) for r in made["references"] if query]
    assert len(filtered) > 20
    for alias, query in filtered:
        for part in query.split(" and "):
            field = part.removeprefix("not ").partition(" : ")[0]
            assert mappings[alias][field].get("index", True), (alias, query)


def test_no_operation_needs_what_the_reduced_elasticsearch_lacks(objects):
    used = {column["operationType"] for _, _, column in columns(objects)}
    assert used <= AGGREGATIONS | COMPUTED
    assert "last_value" in used
    assert "formula" in used


def test_columns_and_what_refers_to_them_agree(objects):
    for made in of_type(objects, "lens"):
        known = []
        for layer in layers(made).values():
            assert layer["columnOrder"] == sorted(layer["columns"], key=layer["columnOrder"].index)
            assert set(layer["columnOrder"]) == set(layer["columns"])
            buckets = [layer["columns"][c]["isBucketed"] for c in layer["columnOrder"]]
            assert buckets == sorted(buckets, reverse=True)  # splits before figures
            for column in layer["columns"].values():
                assert set(column.get("references", ())) <= set(layer["columns"])
                order = column.get("params", {}).get("orderBy", {})
                assert order.get("columnId", layer["columnOrder"][0]) in layer["columns"]
            known += layer["columns"]
        assert len(set(known)) == len(known)
        drawn = json.dumps(made["attributes"]["state"]["visualization"])
        shown = [c for c in known if f'"{c}"' in drawn]
        hidden = [c for c in known if c not in shown]
        # the parts of a formula are not drawn, everything else is
        assert all(c[-2:] in {"X0", "X1", "X2"} for c in hidden)
        assert made["attributes"]["title"]
        assert made["attributes"]["description"]


def test_a_formula_is_the_difference_of_its_counts(objects):
    found = 0
    for made in of_type(objects, "lens"):
        for layer in layers(made).values():
            for name, column in layer["columns"].items():
                if column["operationType"] != "formula":
                    continue
                tree = layer["columns"][f"{name}X2"]["params"]["tinymathAst"]
                assert (tree["name"], tree["args"]) == ("subtract", [f"{name}X0", f"{name}X1"])
                counts = (layer["columns"][f"{name}X{n}"]["filter"]["query"] for n in (0, 1))
                assert column["params"]["formula"] == " - ".join(
                    f"count(kql='{query}')" for query in counts
                )
                found += 1
    assert found >= 3


def test_another_prefix_has_ids_and_aliases_of_its_own(objects):
    other = bundle(IndexNames("cellar", Period.MONTH))
    made = [json.loads(line) for line in other.splitlines()]
    assert len(made) == len(objects)
    assert not {m["id"] for m in made} & {m["id"] for m in objects}
    titles = {m["attributes"]["title"] for m in of_type(made, "index-pattern")}
    assert all(title.startswith("cellar-") for title in titles)
    assert not {m["attributes"]["title"] for m in of_type(made, "dashboard")} & {
        m["attributes"]["title"] for m in of_type(objects, "dashboard")
    }


def test_rows_follow_each_other_down_the_dashboard():
    panels = list(DASHBOARDS[0].panels())
    rows = (PanelRow(5, ((10, panels[0]), (20, panels[1]))), PanelRow(7, ((48, panels[2]),)))
    made = Dashboard(name="x", title="x", about="x", rows=rows)
    lines = bundle(IndexNames("dewline", Period.DAY), (made,)).splitlines()
    places = [p["gridData"] for p in json.loads(json.loads(lines[-1])["attributes"]["panelsJSON"])]
    assert [(p["x"], p["y"], p["w"], p["h"]) for p in places] == [
        (0, 0, 10, 5),
        (10, 0, 20, 5),
        (0, 5, 48, 7),
    ]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda d: d.name)
def test_a_dashboard_names_each_panel_once(dashboard):
    names = [panel.name for panel in dashboard.panels()]
    assert len(set(names)) == len(names)
