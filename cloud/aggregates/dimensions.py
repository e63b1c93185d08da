"""Writes the declared dimensions: sites with their devices, and conditions.

If a declaration changes, the summaries that depend on it are deleted and their days are marked, in
the transaction that changes the dimension. Dimensions of devices and sensors follow the readings,
see `cloud.warehouse.aggregate_rows`.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, bindparam, select, text, update

from cloud.config import SiteConfig
from cloud.warehouse.aggregate_tables import DIM_CONDITIONS, DIM_DEVICES, DIM_SITES
from cloud.warehouse.engine import converted
from contract.typed import plain
from models.conditions import Condition, facts_of, signals_of

__all__ = ["Declared", "condition_cells", "sync_declared"]

# Keys of a declaration that change no step's value, and so no summary.
_WITHOUT_EFFECT = ("warn_at", "horizon_s", "hysteresis", "duration_s")

_MARK = (
    "INSERT INTO aggregate_due (device_id, event_day)"
    " SELECT DISTINCT device_id, event_day FROM agg_day WHERE calendar = 'utc'{only}"
    " ON DUPLICATE KEY UPDATE device_id = aggregate_due.device_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the configuration declares.

    Attributes:
        sites: The sites.
        conditions: The fleet's conditions; None without section `[fleet]`: then summaries of
            conditions stay as they are.
    """

    sites: tuple[SiteConfig, ...]
    conditions: tuple[Condition, ...] | None

    def zones(self) -> Mapping[str, str]:
        """Return the time zone of each device that has a site."""
        return {device_id: site.time_zone for site in self.sites for device_id in site.devices}

    def site_of(self) -> Mapping[str, str]:
        """Return the site of each device that has one."""
        return {device_id: site.id for site in self.sites for device_id in site.devices}


def sync_declared(engine: Engine, declared: Declared) -> None:
    """Write the declared dimensions, and mark the days that a changed declaration affects.

    Raises:
        SchemaOutdated: A table is missing.
        WarehouseError: Nothing was changed.
    """
    with converted(), engine.begin() as connection:
        _sync_sites(connection, declared)
        if declared.conditions is not None:
            _sync_conditions(connection, declared.conditions)


def _sync_sites(connection: Connection, declared: Declared) -> None:
    stored = {r.site_id: r.time_zone for r in connection.execute(DIM_SITES.select())}
    query = select(DIM_DEVICES.c.device_id, DIM_DEVICES.c.site_id)
    old_sites = {r.device_id: r.site_id for r in connection.execute(query)}
    before = {device_id: stored.get(site_id) for device_id, site_id in old_sites.items()}
    zones, sites = declared.zones(), declared.site_of()
    changed = [d for d in {*before, *zones} if before.get(d) != zones.get(d)]
    if changed:
        _execute(connection, "DELETE FROM agg_day WHERE calendar = 'site'{only}", changed)
        _execute(connection, _MARK, changed)
    rows = [{"site_id": s.id, "time_zone": s.time_zone} for s in declared.sites]
    if stored != {row["site_id"]: row["time_zone"] for row in rows}:
        _replace(connection, DIM_SITES, rows)
    _move_devices(connection, old_sites, sites)


def _move_devices(
    connection: Connection, before: Mapping[str, str | None], sites: Mapping[str, str]
) -> None:
    at = DIM_DEVICES.c
    for device_id in [d for d, site_id in before.items() if site_id != sites.get(d)]:
        moved = update(DIM_DEVICES).where(at.device_id == device_id)
        connection.execute(moved.values(site_id=sites.get(device_id)))
    if unseen := [d for d in sites if d not in before]:
        rows = [{"device_id": d, "site_id": sites[d]} for d in unseen]
        connection.execute(DIM_DEVICES.insert(), rows)


def _sync_conditions(connection: Connection, conditions: Collection[Condition]) -> None:
    rows = connection.execute(DIM_CONDITIONS.select()).mappings()
    stored = {row["condition_id"]: dict(row) for row in rows}
    wanted = {c.id: condition_cells(c) for c in conditions}
    if stored == wanted:
        return
    digests = {name: cells["declaration"] for name, cells in wanted.items()}
    gone = [n for n, cells in stored.items() if digests.get(n) != cells["declaration"]]
    new = [n for n, digest in digests.items() if n not in stored or n in gone]
    for table in ("agg_condition_hour", "agg_condition_day"):
        if gone:
            statement = f"DELETE FROM {table} WHERE condition_id IN :ids"  # noqa: S608 - names of tables
            named = text(statement).bindparams(bindparam("ids", gone, expanding=True))
            connection.execute(named)
    if new:
        connection.execute(text(_MARK.format(only="")))
    _replace(connection, DIM_CONDITIONS, list(wanted.values()))


def _execute(connection: Connection, statement: str, devices: Collection[str]) -> None:
    only = statement.format(only=" AND device_id IN :devices")
    connection.execute(text(only).bindparams(bindparam("devices", list(devices), expanding=True)))


def _replace(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    connection.execute(table.delete())
    if rows:
        connection.execute(table.insert(), rows)


def condition_cells(condition: Condition) -> dict[str, Any]:
    """Return the row of `dim_condition`."""
    derived = condition.derived
    inputs = ", ".join(map(str, signals_of(condition)))
    return {
        "condition_id": condition.id,
        "signal": inputs if derived is None else f"{derived.value} of {inputs}",
        "unit": facts_of(condition).shown_unit or None,
        "comparison": condition.comparison.value,
        "limit_value": condition.limit,
        "hysteresis": condition.hysteresis,
        "duration_s": condition.duration_s,
        "horizon_s": condition.horizon_s,
        "step_s": condition.step_s,
        "max_age_s": condition.max_age_s,
        "warn_at": condition.warn_at,
        "declaration": _digest(condition),
    }


def _digest(condition: Condition) -> str:
    """Return the sha256 of the keys that decide the values of steps, and which are beyond."""
    effective = {k: v for k, v in plain(condition).items() if k not in _WITHOUT_EFFECT}
    return hashlib.sha256(json.dumps(effective, sort_keys=True).encode()).hexdigest()
