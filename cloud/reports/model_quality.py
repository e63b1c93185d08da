"""Reads the quality of forecasts and models: skill, reliability, decisions, candidates."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Table, func, select

from cloud.expectation import Expectation
from cloud.registry import DecisionRow, ModelRow
from cloud.reports.report import Bin, Candidate, Monitored
from cloud.warehouse.model_tables import CANDIDATES, DECISIONS, MODELS, MONITORING, RELIABILITY

__all__ = ["candidates", "decisions", "expectation", "monitored", "reliability"]

_T = TypeVar("_T", Bin, Candidate, DecisionRow, Monitored)


def decisions(connection: Connection, condition_id: str) -> tuple[DecisionRow, ...]:
    """Return every decision about the condition, oldest first."""
    return _read(connection, _every(DECISIONS, condition_id), DecisionRow)


def candidates(connection: Connection, condition_id: str) -> tuple[Candidate, ...]:
    """Return every candidate that was tried, oldest cycle first."""
    return _read(connection, _every(CANDIDATES, condition_id), Candidate)


def expectation(connection: Connection, decided: DecisionRow) -> Expectation | None:
    """Return what to expect of the model that a decision left in force."""
    at = MODELS.c
    query = select(MODELS).where(at.model == decided.model, at.version == decided.version)
    row = connection.execute(query).one_or_none()
    return None if row is None else ModelRow(**row._asdict()).expectation


def monitored(connection: Connection, condition_id: str) -> tuple[Monitored, ...]:
    """Return the newest cycle's skill; the row of all devices and origins comes first."""
    return _read(connection, _newest(MONITORING, condition_id), Monitored)


def reliability(connection: Connection, condition_id: str) -> tuple[Bin, ...]:
    """Return the newest cycle's bins that are not empty, by origin and bin."""
    filled = RELIABILITY.c.outcomes_total > 0
    return _read(connection, _newest(RELIABILITY, condition_id).where(filled), Bin)


def _every(table: Table, condition_id: str) -> Select[Any]:
    query = select(table).where(table.c.condition_id == condition_id)
    return query.order_by(*table.primary_key)


def _newest(table: Table, condition_id: str) -> Select[Any]:
    newest = select(func.max(table.c.cycle_at)).where(table.c.condition_id == condition_id)
    return _every(table, condition_id).where(table.c.cycle_at == newest.scalar_subquery())


def _read(connection: Connection, query: Select[Any], cls: type[_T]) -> tuple[_T, ...]:
    rows: Sequence[Row[Any]] = connection.execute(query).all()
    return tuple(cls(**{f.name: getattr(row, f.name) for f in fields(cls)}) for row in rows)
