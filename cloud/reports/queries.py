"""Collects a report from the warehouse; it only reads.

One transaction reads everything but the ledger, which has its own. This module and the others that
read define the figures; `page` and `charts` define their look.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, case, func, select

from cloud.ledger.account import DeviceAccount
from cloud.ledger.queries import LedgerReader
from cloud.ledger.report import notes, summary
from cloud.reports.device_history import device_reports
from cloud.reports.fleet import installed, refusals
from cloud.reports.model_quality import candidates, decisions, expectation, monitored, reliability
from cloud.reports.report import Completeness, ConditionReport, ReadingCounts, Report
from cloud.reports.signals import SignalReader
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import DECISIONS, OUTCOMES, TRUTH
from cloud.warehouse.plausible_rows import plausibly_dated
from cloud.warehouse.tables import FACTS
from contract.records import Kind
from models.conditions import Condition

__all__ = ["collect", "completeness"]


def collect(engine: Engine, conditions: Sequence[Condition], written_at: int) -> Report:
    """Return the whole report.

    Args:
        engine: The warehouse.
        conditions: The fleet's declared conditions.
        written_at: The instant at which ages are computed, ms since 1970 UTC.

    Raises:
        SchemaOutdated: A table is missing.
        WarehouseError: The server did not answer.
        ContractError: A row of `desired` does not contain a valid desired state.
    """
    accounts = tuple(LedgerReader(engine).accounts())
    with converted(), engine.connect() as connection:
        signals = SignalReader(connection)
        return Report(
            written_at=written_at,
            server=_server(connection),
            readings=tuple(_readings(connection)),
            conditions=tuple(_condition(connection, c, signals) for c in conditions),
            undeclared=_undeclared(connection, conditions),
            installed=installed(connection),
            refusals=refusals(connection),
            completeness=completeness(accounts, written_at),
        )


def _server(connection: Connection) -> str:
    version = str(connection.scalar(select(func.version())))
    return version if "MariaDB" in version else f"MySQL {version}"


def completeness(accounts: Sequence[DeviceAccount], now: int) -> Completeness:
    """Return the ledger's account with the sums of `cloud.ledger.report`."""
    table = summary(accounts)
    return Completeness(
        devices=tuple((a.device_id, summary([a]).totals) for a in accounts),
        totals=table.totals,
        by_kind=table.by_kind,
        notes=tuple(notes(accounts, now)),
        sound=table.sound,
    )


def _readings(connection: Connection) -> Iterator[ReadingCounts]:
    at = FACTS[Kind.READING].c
    dated = case((plausibly_dated(at), at.event_day))
    first, last = (f(dated, type_=at.event_day.type) for f in (func.min, func.max))
    query = (
        select(at.device_id, func.count(), first, last)
        .group_by(at.device_id)
        .order_by(at.device_id)
    )
    for device_id, total, first_day, last_day in connection.execute(query):
        yield ReadingCounts(
            device_id=device_id, total=total, first_day=first_day, last_day=last_day
        )


def _condition(
    connection: Connection, condition: Condition, signals: SignalReader
) -> ConditionReport:
    decided = decisions(connection, condition.id)
    return ConditionReport(
        declared=condition,
        devices=device_reports(connection, condition, signals),
        reliability=reliability(connection, condition.id),
        monitored=monitored(connection, condition.id),
        decisions=decided,
        candidates=candidates(connection, condition.id),
        expectation=expectation(connection, decided[-1]) if decided else None,
    )


def _undeclared(connection: Connection, conditions: Sequence[Condition]) -> tuple[str, ...]:
    found: set[str] = set()
    for table in (TRUTH, OUTCOMES, DECISIONS, FACTS[Kind.ALERT]):
        found.update(connection.scalars(select(table.c.condition_id).distinct()))
    return tuple(sorted(found - {c.id for c in conditions}))
