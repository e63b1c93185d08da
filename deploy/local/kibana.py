"""Compares every Kibana panel with the warehouse: the panel's query with handwritten SQL.

Kibana itself does not run. The check sends the panels' queries to Elasticsearch and compares the
results on real data. It does not check how Kibana draws them.
"""

import http.client
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, text

from cloud.config import Period
from cloud.search.kibana.objects import DASHBOARDS
from cloud.search.kibana.panel import Dashboard, Difference, Layer, Panel, Shown
from cloud.search.kibana.query import Cell, Question, Row, Scope, question, rows
from cloud.search.names import IndexNames
from cloud.warehouse.engine import converted
from contract.quantities import Quantity
from deploy.local.errors import ServerError

__all__ = ["DEMO", "PanelCheck", "check_panels", "panel_sql", "panel_table", "write_panels"]

DEMO = IndexNames("dewline", Period.MONTH)
_RELATIVE = 1e-9  # tolerance, because the stores add the same numbers in different orders
_TIMEOUT_S = 60.0
_SQL = Path(__file__).with_name("panels.sql")
_EACH = "<quantity>"
_NAMED = re.compile(r"^-- (\S+/\S+/\d+)\n(.*?);$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelCheck:
    """Holds the results of both stores for one layer of one panel.

    Attributes:
        name: `dashboard/panel/layer`, followed by the gateway if one is selected.
        title: Title of the panel.
        layer: The panel's layer.
        question: Query to Elasticsearch.
        expected: Sorted rows of the warehouse.
        got: Sorted rows of Elasticsearch.
    """

    name: str
    title: str
    layer: Layer
    question: Question
    expected: tuple[Row, ...]
    got: tuple[Row, ...]

    @property
    def apart(self) -> tuple[Row | None, Row | None] | None:
        """First pair of different rows, None for a missing row; None if all rows agree."""
        for number in range(max(len(self.expected), len(self.got))):
            pair = _at(self.expected, number), _at(self.got, number)
            if pair[0] is None or pair[1] is None or not _same(pair[0], pair[1]):
                return pair
        return None


def check_panels(
    search_url: str,
    engine: Engine,
    scope: Scope,
    devices: Sequence[str],
    names: IndexNames = DEMO,
) -> tuple[PanelCheck, ...]:
    """Checks every panel; panels of the gateway dashboard are checked once per device.

    Args:
        search_url: Address of Elasticsearch.
        engine: Engine of the warehouse.
        scope: Time range of the dashboards; its device is not used.
        devices: Gateways to select on the gateway dashboard.
        names: Names of the indices.

    Raises:
        ServerError: Elasticsearch refused a query.
        WarehouseError: The database server did not answer.
    """
    stores = _Stores(search_url, engine, names)
    checks: list[PanelCheck] = []
    for dashboard in DASHBOARDS:
        chosen: Sequence[str | None] = devices if dashboard.controls else (None,)
        for device_id in chosen:
            asked = replace(scope, device_id=device_id)
            checks += _check(dashboard, stores, asked)
    return tuple(checks)


def panel_sql() -> Mapping[str, str]:
    """Returns the handwritten queries by `dashboard/panel/layer`."""
    written = _NAMED.findall(_SQL.read_text("utf-8"))
    return {
        name.replace(_EACH, quantity): sql.replace(_EACH, quantity)
        for name, sql in written
        for quantity in (Quantity if _EACH in name else ("",))
    }


@dataclass(frozen=True, slots=True)
class _Stores:
    search_url: str
    engine: Engine
    names: IndexNames
    sql: Mapping[str, str] = field(default_factory=panel_sql)


def _check(dashboard: Dashboard, stores: _Stores, scope: Scope) -> Iterator[PanelCheck]:
    for panel in dashboard.panels():
        for number, layer in enumerate(panel.layers):
            yield _one(f"{dashboard.name}/{panel.name}/{number}", panel, layer, stores, scope)


def _one(name: str, panel: Panel, layer: Layer, stores: _Stores, scope: Scope) -> PanelCheck:
    asked = question(panel, layer, stores.names, scope)
    got = rows(layer, _answer(stores.search_url, asked))
    expected = _warehouse(stores.engine, stores.sql[name], scope)
    return PanelCheck(
        name=name if scope.device_id is None else f"{name} {scope.device_id}",
        title=panel.title,
        layer=layer,
        question=asked,
        expected=_sorted(expected),
        got=_sorted(got),
    )


def _answer(search_url: str, asked: Question) -> Mapping[str, Any]:
    at = urlsplit(search_url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=_TIMEOUT_S)
    try:
        _ask(connection, f"/{asked.index}/_refresh?ignore_unavailable=true", {})
        path = f"/{asked.index}/_search?ignore_unavailable=true"
        return _ask(connection, path, asked.body)
    finally:
        connection.close()


def _ask(
    connection: http.client.HTTPConnection, path: str, body: Mapping[str, Any]
) -> Mapping[str, Any]:
    payload = json.dumps(body) if body else None
    connection.request("POST", path, payload, {"content-type": "application/json"})
    answer = connection.getresponse()
    told: Mapping[str, Any] = json.loads(answer.read())
    if answer.status != 200:
        raise ServerError(
            f"Elasticsearch refused {path} with status {answer.status}: {told.get('error')}"
        )
    return told


def _warehouse(engine: Engine, sql: str, scope: Scope) -> Iterable[Row]:
    values = {
        "from_at": _instant(scope.from_ms),
        "to_at": _instant(scope.to_ms),
        "device_id": scope.device_id,
    }
    wanted = {name: value for name, value in values.items() if f":{name}" in sql}
    with converted(), engine.connect() as connection:
        return [tuple(map(_cell, row)) for row in connection.execute(text(sql), wanted)]


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).replace(
        tzinfo=None, microsecond=ms % 1000 * 1000
    )


def _cell(value: Any) -> Cell:
    return float(value) if isinstance(value, int | Decimal) else value


def _sorted(found: Iterable[Row]) -> tuple[Row, ...]:
    """Returns the rows sorted by their columns, texts and instants first.

    So a wrong figure does not change the order of the rows.
    """
    return tuple(sorted(found, key=lambda row: [(c is not None, str(c)) for c in row]))


def _at(found: tuple[Row, ...], number: int) -> Row | None:
    return found[number] if number < len(found) else None


def _same(one: Row, other: Row) -> bool:
    return len(one) == len(other) and all(map(_equal, one, other))


def _equal(one: Cell, other: Cell) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=1e-12)
    return one == other


def panel_table(checks: Iterable[PanelCheck]) -> Iterator[tuple[str, str, str, str]]:
    """Yields panel, query, expected and found results of each check as texts."""
    for check in checks:
        expected, got = (_told(check.layer, found) for found in (check.expected, check.got))
        if check.apart is not None:
            expected, got = f"{expected}; {check.apart[0]}", f"{got}; {check.apart[1]}"
        yield f"{check.name}: {check.title}", _query(check.question), expected, got


def write_panels(checks: Sequence[PanelCheck], path: Path) -> Mapping[str, int]:
    """Writes the table as Markdown; returns the number of queries and of differences."""
    head = "| panel | query | expected (MySQL) | found (Elasticsearch) |\n|---|---|---|---|\n"
    lines = (" | ".join(c.replace("|", "/") for c in row) for row in panel_table(checks))
    path.write_text(head + "".join(f"| {line} |\n" for line in lines), encoding="utf-8")
    return {"asked": len(checks), "apart": sum(c.apart is not None for c in checks)}


def _told(layer: Layer, found: Sequence[Row]) -> str:
    """Returns the number of rows, and the sum of each numeric column."""
    sums = [
        f"{math.fsum(c for c in column if isinstance(c, float)):,.8g}"
        for metric, column in zip(layer.metrics, _figures(layer, found), strict=True)
        if isinstance(metric, Difference) or metric.shown is Shown.NUMBER
    ]
    rows_total = f"{len(found):,} rows: " if layer.splits else ""
    return rows_total + ", ".join(sums)


def _figures(layer: Layer, found: Sequence[Row]) -> Iterator[list[Cell]]:
    for number in range(len(layer.splits), len(layer.splits) + len(layer.metrics)):
        yield [row[number] for row in found]


def _query(asked: Question) -> str:
    """Returns the index and the path of aggregations to the figures."""
    return f"{asked.index}: {' > '.join(_steps(asked.body.get('aggs', {}))) or 'count'}"


def _steps(parts: Mapping[str, Any]) -> Iterator[str]:
    """Yields one text per level, with the field; figures of one level are joined by `+`."""
    if "split" in parts:
        split = parts["split"]
        ((kind, told),) = ((k, v) for k, v in split.items() if k != "aggs")
        yield f"{kind}({told['field']})"
        yield from _steps(split.get("aggs", {}))
    elif parts:
        yield " + ".join(_figure(part) for part in parts.values())


def _figure(part: Mapping[str, Any]) -> str:
    if "filter" in part:
        inner = part.get("aggs", {}).get("inner")
        return f"filter({'count' if inner is None else _figure(inner)})"
    ((kind, told),) = part.items()
    return f"{kind}({told.get('field', '')})" if kind != "top_hits" else "top_hits"
