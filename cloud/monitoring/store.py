"""Reads outcomes and alerts from the warehouse, and writes a cycle's assessment to it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Select, Table, func, select

from cloud.monitoring.alerts import AlertCounts, Happened, judge, summed
from cloud.monitoring.rows import Assessment, Outcomes
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import MONITORING, OUTCOMES, RELIABILITY, TRUTH
from cloud.warehouse.tables import FACTS
from contract.records import AlertBasis, AlertState, Kind, Origin, PredictionMode
from models.conditions import Condition

__all__ = ["alerts_judged", "read_outcomes", "write_assessment"]

_NAMES = (
    *("device_id", "origin", "model", "version", "issued_at"),
    *("probability", "baseline_probability", "onset"),
)
_TYPES = (*[np.object_] * 4, np.int64, *[np.float64] * 3)
_Instants = Mapping[str, Sequence[int]]


def read_outcomes(engine: Engine, condition_id: str, from_ms: int, to_ms: int) -> Outcomes:
    """Return the outcomes of forecasts issued in [from_ms, to_ms), ms since 1970 UTC.

    Raises:
        SchemaOutdated: The table is missing.
        WarehouseError: The server did not answer.
    """
    at = OUTCOMES.c
    query = (
        select(*(at[name] for name in _NAMES))
        .where(at.condition_id == condition_id, at.issued_at >= from_ms, at.issued_at < to_ms)
        .order_by(*OUTCOMES.primary_key)
    )
    with converted(), engine.connect() as connection:
        rows = connection.execute(query).all()
    columns = list(zip(*rows, strict=True)) or [()] * len(_NAMES)
    # The conversion turns None into NaN, and onset into 0 or 1.
    return Outcomes(*(np.array(c, t) for c, t in zip(columns, _TYPES, strict=True)))


def write_assessment(engine: Engine, cycle_at: int, assessment: Assessment) -> int:
    """Replace a cycle's rows of a condition in one transaction. Return the number of new rows.

    Args:
        engine: The warehouse.
        cycle_at: The cycle's instant, ms since 1970 UTC.
        assessment: The result of `cloud.monitoring.watch.assess`.

    Raises:
        SchemaOutdated: A table is missing.
        WarehouseError: Nothing was changed.
    """
    parts: tuple[tuple[Table, Sequence[Any]], ...] = (
        (MONITORING, assessment.monitoring),
        (RELIABILITY, assessment.reliability),
    )
    with converted(), engine.begin() as connection:
        for table, rows in parts:
            own = table.c.cycle_at == cycle_at, table.c.condition_id == assessment.condition_id
            connection.execute(table.delete().where(*own))
            if rows:
                told = [{"cycle_at": cycle_at, **asdict(row)} for row in rows]
                connection.execute(table.insert(), told)
    return sum(len(rows) for _, rows in parts)


def alerts_judged(engine: Engine, condition: Condition, from_ms: int, to_ms: int) -> AlertCounts:
    """Return the counts of alerts and onsets in [from_ms, to_ms), all devices together.

    `cloud.monitoring.alerts` defines the counts. Truth is assumed to be known up to
    `to_ms`.

    Args:
        engine: The warehouse.
        condition: The declared condition, for its id and horizon.
        from_ms: First instant, ms since 1970 UTC.
        to_ms: First instant after the span.

    Raises:
        SchemaOutdated: A table is missing.
        WarehouseError: The server did not answer.
    """
    horizon_ms = condition.horizon_s * 1000
    with converted(), engine.connect() as connection:
        raised = _by_device(connection, _raised(condition.id, from_ms - horizon_ms, to_ms))
        began = _by_device(connection, _began(condition.id, from_ms, to_ms + horizon_ms))
        first = _of_device(connection, _first_forecasts(condition.id))
        observed = _of_device(connection, _observed(condition.id, from_ms, to_ms))
    return summed(
        judge(
            Happened(
                observed=observed.get(device_id, 0),
                raised=[at for at in raised.get(device_id, ()) if at >= from_ms],
                began=[at for at in began.get(device_id, ()) if at < to_ms],
                first_forecast_at=first.get(device_id),
                known_until=to_ms,
                earlier=[at for at in raised.get(device_id, ()) if at < from_ms],
                later=[at for at in began.get(device_id, ()) if at >= to_ms],
            ),
            condition.horizon_s,
        )
        for device_id in sorted(raised.keys() | began.keys() | observed.keys())
    )


def _by_device(connection: Connection, query: Select[Any]) -> _Instants:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for device_id, at in connection.execute(query):
        found[device_id].append(at)
    return found


def _of_device(connection: Connection, query: Select[Any]) -> Mapping[str, int]:
    return {device_id: int(value) for device_id, value in connection.execute(query)}


def _alerts(basis: AlertBasis, condition_id: str, from_ms: int, to_ms: int) -> tuple[Any, ...]:
    at = FACTS[Kind.ALERT].c
    return (
        at.condition_id == condition_id,
        at.state == AlertState.RAISED.value,
        at.basis == basis.value,
        at.observed_at >= from_ms,
        at.observed_at < to_ms,
    )


def _raised(condition_id: str, from_ms: int, to_ms: int) -> Select[Any]:
    at = FACTS[Kind.ALERT].c
    wanted = _alerts(AlertBasis.FORECAST, condition_id, from_ms, to_ms)
    return select(at.device_id, at.observed_at).where(*wanted)


def _observed(condition_id: str, from_ms: int, to_ms: int) -> Select[Any]:
    at = FACTS[Kind.ALERT].c
    wanted = _alerts(AlertBasis.OBSERVED, condition_id, from_ms, to_ms)
    return select(at.device_id, func.count()).where(*wanted).group_by(at.device_id)


def _began(condition_id: str, from_ms: int, until_ms: int) -> Select[Any]:
    at = TRUTH.c
    return select(at.device_id, at.began_at).where(
        at.condition_id == condition_id, at.began_at >= from_ms, at.began_at <= until_ms
    )


def _first_forecasts(condition_id: str) -> Select[Any]:
    at = FACTS[Kind.PREDICTION].c
    first = func.min(at.observed_at, type_=at.observed_at.type)
    return (
        select(at.device_id, first)
        .where(at.condition_id == condition_id, at.origin == Origin.EDGE.value)
        .where(at.mode == PredictionMode.ACTIVE.value, at.observed_at.is_not(None))
        .group_by(at.device_id)
    )
