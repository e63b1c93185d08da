"""Reads which models run on the gateways, and which ones should run."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from cloud.reports.report import Installed, Refusal
from cloud.warehouse.model_tables import DESIRED, MODELS
from cloud.warehouse.tables import FACTS
from contract.desired import decode_desired
from contract.records import Kind

__all__ = ["installed", "refusals"]

_ACTIVE, _REFUSED = "active", "refused"


class _Place(NamedTuple):
    device_id: str
    condition_id: str | None


class _Active(NamedTuple):
    """A gateway's report that a model runs. The order of tuples is the order of time."""

    at: int
    stream_id: str
    seq: int
    model: str


def installed(connection: Connection) -> tuple[Installed, ...]:
    """Return a line for each device and condition that should have a model or reports one."""
    desired, active = _desired(connection), _active(connection)
    places = sorted(desired.keys() | active.keys(), key=lambda p: (p[0], p[1] or ""))
    return tuple(
        Installed(
            device_id=place.device_id,
            condition_id=place.condition_id,
            desired=desired.get(place),
            active=active[place].model if place in active else None,
            since=active[place].at if place in active else None,
        )
        for place in places
    )


def _desired(connection: Connection) -> Mapping[_Place, str]:
    found = {}
    for device_id, payload in connection.execute(select(DESIRED.c.device_id, DESIRED.c.payload)):
        for bundle in decode_desired(payload, _trusted).bundles:
            place = _Place(device_id, bundle.condition_id)
            found[place] = f"{bundle.model} {bundle.version}"
    return found


def _trusted(_key_id: str, _message: bytes, _signature: bytes) -> None:
    """Accept every signature: the payload comes from the cloud's own table."""


def _active(connection: Connection) -> Mapping[_Place, _Active]:
    """Return the latest report of each place. The registry gives the condition of a model."""
    at = FACTS[Kind.MODEL_REPORT].c
    join = (at.model == MODELS.c.model) & (at.version == MODELS.c.version)
    query = (
        select(FACTS[Kind.MODEL_REPORT], MODELS.c.condition_id)
        .join_from(FACTS[Kind.MODEL_REPORT], MODELS, join, isouter=True)
        .where(at.outcome == _ACTIVE)
    )
    return _latest(connection.execute(query))


def _latest(rows: Iterable[Any]) -> Mapping[_Place, _Active]:
    found: dict[_Place, _Active] = {}
    for row in rows:
        # A gateway without a believable clock sends reports without a date: use the arrival.
        at = row.received_at if row.observed_at is None else row.observed_at
        told = _Active(at, row.stream_id, row.seq, f"{row.model} {row.version}")
        place = _Place(row.device_id, row.condition_id)
        found[place] = max(told, found.get(place, told))
    return found


def refusals(connection: Connection) -> tuple[Refusal, ...]:
    """Return the bundles that gateways refused, by device, model, version and reason."""
    at = FACTS[Kind.MODEL_REPORT].c
    group = (at.device_id, at.model, at.version, at.reason)
    last = func.max(at.observed_at, type_=at.observed_at.type)
    query = (
        select(*group, func.count().label("total"), last.label("last_at"))
        .where(at.outcome == _REFUSED)
        .group_by(*group)
        .order_by(*group)
    )
    return tuple(
        Refusal(
            device_id=row.device_id,
            model=row.model,
            version=row.version,
            total=row.total,
            last_at=row.last_at,
            reason=row.reason,
        )
        for row in connection.execute(query)
    )
