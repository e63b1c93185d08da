"""Reads from MySQL what is known about gateways, and judges their health.

Times of received blocks come from the ledger and are seconds old. Status figures and model reports
are as old as the last run of the transform, which writes them. Each query reads a stream from its
end, in the order of the table's key.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, Engine, func, select

from cloud.health.set_aside import SetAsideBlocks, blocks_set_aside
from cloud.health.verdict import (
    Asked,
    GatewayFacts,
    GatewayHealth,
    ModelState,
    StatusFigures,
    judge,
)
from cloud.ledger.account import DeviceAccount
from cloud.ledger.queries import LedgerReader
from cloud.plausible import LARGEST_NUMBER
from cloud.warehouse.engine import converted
from cloud.warehouse.ledger_tables import DELIVERIES
from cloud.warehouse.model_tables import DESIRED
from cloud.warehouse.tables import FACTS
from contract.desired import DesiredBundle, decode_desired
from contract.keys import is_import
from contract.records import Kind

__all__ = ["GatewayReader"]

_STREAMS = 3  # newest streams of a device that are searched for a record of a kind
_STATUS = FACTS[Kind.STATUS]
_REPORT = FACTS[Kind.MODEL_REPORT]


class GatewayReader:
    """Reads the health of gateways."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, devices: Sequence[str], asked: Asked) -> tuple[GatewayHealth, ...]:
        """Returns one verdict for each device, in their order.

        Raises:
            WarehouseError: The server did not answer.
        """
        ledger = LedgerReader(self._engine, devices=devices, since=asked.ledger_from)
        accounts = {account.device_id: account for account in ledger.accounts()}
        with converted(), self._engine.connect() as connection:
            streams = _streams(connection, devices)
            models = _models(connection, devices)
            since = asked.ledger_from if asked.since is None else asked.since
            aside = blocks_set_aside(connection, since, devices)
            return tuple(
                judge(
                    _known(
                        _with_set_aside(name, aside.get(name)),
                        connection,
                        accounts.get(name),
                        streams[name],
                        models[name],
                    ),
                    asked,
                )
                for name in devices
            )


def _with_set_aside(device_id: str, aside: SetAsideBlocks | None) -> GatewayFacts:
    if aside is None:
        return GatewayFacts(device_id=device_id)
    return GatewayFacts(
        device_id=device_id, set_aside_blocks=aside.blocks_total, set_aside_reason=aside.reason
    )


def _known(
    facts: GatewayFacts,
    connection: Connection,
    account: DeviceAccount | None,
    streams: Sequence[tuple[int, str]],
    models: tuple[ModelState, ...],
) -> GatewayFacts:
    newest = [stream_id for _, stream_id in streams[:_STREAMS]]
    at, device_id = DELIVERIES.c, facts.device_id
    return replace(
        facts,
        heard_at=streams[0][0] if streams else None,
        reading_at=_last_with(connection, device_id, newest, at.reading_total),
        status_at=_last_with(connection, device_id, newest, at.status_total),
        figures=_figures(connection, device_id, newest),
        models=models,
        unexplained=sum(s.unexplained_total for s in account.streams) if account else 0,
        doubled=sum(s.doubled_total for s in account.streams) if account else 0,
    )


def _streams(connection: Connection, devices: Sequence[str]) -> Mapping[str, list[tuple[int, str]]]:
    """Returns when the last block of each stream was received, newest first.

    Streams of imports are left out: they say nothing about a gateway.
    """
    at = DELIVERIES.c
    last = (
        select(at.device_id, at.stream_id, func.max(at.first_seq).label("first_seq"))
        .where(at.device_id.in_(devices), at.last_seq <= LARGEST_NUMBER)
        .group_by(at.device_id, at.stream_id)
        .subquery()
    )
    came = func.max(at.received_at, type_=at.received_at.type).label("received_at")
    query = (
        select(at.device_id, at.stream_id, came)
        .join(
            last,
            (at.device_id == last.c.device_id)
            & (at.stream_id == last.c.stream_id)
            & (at.first_seq == last.c.first_seq),
        )
        .group_by(at.device_id, at.stream_id)
    )
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in filter(_is_sent, connection.execute(query)):
        found[row.device_id].append((row.received_at, row.stream_id))
    for streams in found.values():
        streams.sort(reverse=True)
    return found


def _is_sent(row: Any) -> bool:
    return not is_import(row.stream_id)


def _last_with(
    connection: Connection, device_id: str, streams: Sequence[str], total: Column[Any]
) -> int | None:
    at = DELIVERIES.c
    for stream_id in streams:
        query = (
            select(at.received_at)
            .where(at.device_id == device_id, at.stream_id == stream_id, total > 0)
            .order_by(at.first_seq.desc())
            .limit(1)
        )
        found = connection.scalar(query)
        if found is not None:
            return int(found)
    return None


def _figures(
    connection: Connection, device_id: str, streams: Sequence[str]
) -> StatusFigures | None:
    at = _STATUS.c
    for stream_id in streams:
        query = (
            select(_STATUS)
            .where(at.device_id == device_id, at.stream_id == stream_id)
            .order_by(at.seq.desc())
            .limit(1)
        )
        row = connection.execute(query).one_or_none()
        if row is not None:
            return StatusFigures(
                received_at=row.received_at,
                phase=row.phase,
                version=row.version,
                samples_total=row.samples_total,
                sample_failures_total=row.sample_failures_total,
                queued_blocks=row.queued_blocks,
                queued_bytes=row.queued_bytes,
            )
    return None


def _models(connection: Connection, devices: Sequence[str]) -> Mapping[str, tuple[ModelState, ...]]:
    desired = dict(_desired(connection, devices))
    reports = _reports(connection, devices)
    found: defaultdict[str, tuple[ModelState, ...]] = defaultdict(tuple)
    for device_id, bundles in desired.items():
        found[device_id] = tuple(
            _state(bundle, reports.get((device_id, bundle.model, bundle.version)))
            for bundle in bundles
        )
    return found


def _desired(
    connection: Connection, devices: Sequence[str]
) -> Iterator[tuple[str, tuple[DesiredBundle, ...]]]:
    at = DESIRED.c
    query = select(at.device_id, at.payload).where(at.device_id.in_(devices))
    for device_id, payload in connection.execute(query):
        yield device_id, decode_desired(payload, _trusted).bundles


def _trusted(_key_id: str, _message: bytes, _signature: bytes) -> None:
    """Accepts any signature: the table is our own, and gateways verify it."""


def _reports(connection: Connection, devices: Sequence[str]) -> Mapping[tuple[str, str, str], Any]:
    """Returns the last report of each device on each bundle."""
    at = _REPORT.c
    query = select(_REPORT).where(at.device_id.in_(devices)).order_by(at.received_at, at.seq)
    return {(r.device_id, r.model, r.version): r for r in connection.execute(query)}


def _state(bundle: DesiredBundle, report: Any) -> ModelState:
    return ModelState(
        condition_id=bundle.condition_id,
        model=bundle.model,
        version=bundle.version,
        reported=None if report is None else report.outcome,
        reason=None if report is None else report.reason,
        reported_at=None if report is None else report.received_at,
    )
