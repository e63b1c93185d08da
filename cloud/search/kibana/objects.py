"""Makes the bundle for Kibana's import: data views, panels and dashboards as NDJSON.

Ids are made of names and never change, so that a second import replaces the first. The version
numbers are old on purpose: Kibana migrates older objects and refuses newer ones.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.search.kibana.fleet import FLEET
from cloud.search.kibana.gateway import GATEWAY
from cloud.search.kibana.lens import attributes, layer_references
from cloud.search.kibana.panel import Control, Dashboard, DataView, Panel
from cloud.search.kibana.query import alias
from cloud.search.kibana.views import VIEWS
from cloud.search.names import IndexNames

__all__ = ["COLUMNS", "DASHBOARDS", "bundle"]

COLUMNS = 48  # width of Kibana's grid
DASHBOARDS = (FLEET, GATEWAY)
_CORE = "8.8.0"
_VERSIONS = {"index-pattern": "8.0.0", "lens": "8.9.0", "dashboard": "10.2.0"}
_EVERYTHING = '{"query":{"query":"","language":"kuery"},"filter":[]}'
_OPTIONS = '{"useMargins":true,"syncColors":false,"hidePanelTitles":false}'
_REFRESH_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference from one saved object to another.

    Attributes:
        type: Type of the target.
        id: Id of the target.
        name: Name of the reference.
    """

    type: str
    id: str
    name: str

    def table(self) -> dict[str, str]:
        """Returns the reference as Kibana stores it."""
        return {"type": self.type, "id": self.id, "name": self.name}


def bundle(names: IndexNames, dashboards: Sequence[Dashboard] = DASHBOARDS) -> str:
    """Returns every object, one per line, each after the objects that it refers to."""
    return "".join(_line(made) + "\n" for made in _objects(names, dashboards))


def _line(made: Mapping[str, Any]) -> str:
    return json.dumps(made, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _objects(names: IndexNames, dashboards: Sequence[Dashboard]) -> Iterator[Mapping[str, Any]]:
    for view in VIEWS:
        yield _view(names, view)
    for dashboard in dashboards:
        for panel in dashboard.panels():
            yield _panel(names, dashboard, panel)
    for dashboard in dashboards:
        yield _dashboard(names, dashboard)


def _object(
    type_: str, id_: str, values: Mapping[str, Any], references: Sequence[_Reference] = ()
) -> Mapping[str, Any]:
    return {
        "type": type_,
        "id": id_,
        "attributes": values,
        "references": [reference.table() for reference in references],
        "managed": False,
        "coreMigrationVersion": _CORE,
        "typeMigrationVersion": _VERSIONS[type_],
    }


def _view_id(names: IndexNames, view: DataView) -> str:
    return f"{names.prefix}-view-{view.name}"


def _panel_id(names: IndexNames, dashboard: Dashboard, panel: Panel) -> str:
    return f"{names.prefix}-panel-{dashboard.name}-{panel.name}"


def _view(names: IndexNames, view: DataView) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        "title": alias(view, names),
        "name": f"{names.prefix}: {view.title}",
        "allowNoIndex": True,  # no index exists before the first record of the kind
    }
    if view.time_field is not None:
        values["timeFieldName"] = view.time_field
    return _object("index-pattern", _view_id(names, view), values)


def _panel(names: IndexNames, dashboard: Dashboard, panel: Panel) -> Mapping[str, Any]:
    references = [
        _Reference("index-pattern", _view_id(names, layer.view), name)
        for name, layer in layer_references(panel)
    ]
    return _object("lens", _panel_id(names, dashboard, panel), attributes(panel), references)


def _dashboard(names: IndexNames, dashboard: Dashboard) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        "title": _titled(names, dashboard),
        "description": dashboard.about,
        "panelsJSON": _text(list(_placed(dashboard))),
        "optionsJSON": _OPTIONS,
        "timeRestore": True,
        "timeFrom": dashboard.span,
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": _REFRESH_MS},
        "kibanaSavedObjectMeta": {"searchSourceJSON": _EVERYTHING},
        "version": 1,
    }
    references = [
        _Reference("lens", _panel_id(names, dashboard, panel), f"{panel.name}:panel_{panel.name}")
        for panel in dashboard.panels()
    ]
    if dashboard.controls:
        values["controlGroupInput"] = _controls(dashboard)
        references += [
            _Reference("index-pattern", _view_id(names, c.view), _control_reference(c))
            for c in dashboard.controls
        ]
    return _object("dashboard", f"{names.prefix}-dashboard-{dashboard.name}", values, references)


def _titled(names: IndexNames, dashboard: Dashboard) -> str:
    own = "" if names.prefix == "dewline" else f" ({names.prefix})"
    return dashboard.title + own


def _placed(dashboard: Dashboard) -> Iterator[Mapping[str, Any]]:
    """Returns the panels with their places in the grid, row by row, from left to right."""
    y = 0
    for row in dashboard.rows:
        x = 0
        for width, panel in row.panels:
            place = {"x": x, "y": y, "w": width, "h": row.height, "i": panel.name}
            yield {
                "type": "lens",
                "panelIndex": panel.name,
                "panelRefName": f"panel_{panel.name}",
                "gridData": place,
                "embeddableConfig": {"enhancements": {}},
            }
            x += width
        y += row.height


def _controls(dashboard: Dashboard) -> Mapping[str, Any]:
    panels = {_control_id(c): _control(n, c) for n, c in enumerate(dashboard.controls)}
    ignored = dict.fromkeys(
        ("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False
    )
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "showApplySelections": False,
        "ignoreParentSettingsJSON": _text(ignored),
        "panelsJSON": _text(panels),
    }


def _control(order: int, control: Control) -> Mapping[str, Any]:
    return {
        "type": "optionsListControl",
        "order": order,
        "width": "medium",
        "grow": False,
        "explicitInput": {
            "id": _control_id(control),
            "fieldName": control.field,
            "title": control.label,
            "singleSelect": True,
            "searchTechnique": "prefix",
            "selectedOptions": [],
            "sort": {"by": "_key", "direction": "asc"},
        },
    }


def _control_id(control: Control) -> str:
    return f"control-{control.field}"


def _control_reference(control: Control) -> str:
    return f"controlGroup_{_control_id(control)}:optionsListDataView"


def _text(value: Any) -> str:
    """Returns JSON in a string, which is how Kibana stores nested values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
