"""Writes the facts of every landed block to MySQL: the ledger projection.

Order and repeats do not matter: each fact is a row with its own key, and the earliest `received_at`
stays. The quarantine projection handles blocks that cannot be decoded.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, func
from sqlalchemy.dialects.mysql import insert

from cloud.lake.positions import LandedFile
from cloud.ledger.facts import (
    BlockFact,
    Fact,
    HeldFact,
    LossFact,
    SourceRecord,
    StartFact,
    facts_of,
)
from cloud.warehouse.engine import converted
from cloud.warehouse.ledger_tables import DELIVERIES, HELD, LOSSES, STARTS
from contract.errors import ContractError
from contract.records import Kind
from contract.wire import decode

__all__ = ["LedgerProjection"]

_ROWS = 1000  # rows per statement
Row = dict[str, Any]


class LedgerProjection:
    """Writes facts from landed files to the ledger's tables."""

    name = "ledger"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def apply(self, files: Sequence[LandedFile]) -> None:
        """Write the facts of the files; repeating it is safe.

        Raises:
            WarehouseError: Nothing was written; apply the same files again.
        """
        rows: defaultdict[Table, list[Row]] = defaultdict(list)
        for fact in _facts(files):
            table, row = _row(fact)
            rows[table].append(row)
        with converted(), self._engine.begin() as connection:
            for table in (DELIVERIES, STARTS, LOSSES, HELD):
                _write(connection, table, rows[table])


def _facts(files: Sequence[LandedFile]) -> Iterator[Fact]:
    for file in files:
        for landed in file.blocks:
            try:
                block = decode(landed.payload, landed.limits)
            except ContractError:
                continue  # the quarantine has it, with the reason
            yield from facts_of(landed, file.position, block)


def _write(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    statement = insert(table)
    # For deliveries, received_at is part of the key, so this changes nothing.
    earliest = func.least(table.c.received_at, statement.inserted.received_at)
    statement = statement.on_duplicate_key_update(received_at=earliest)
    for start in range(0, len(rows), _ROWS):
        connection.execute(statement, rows[start : start + _ROWS])


def _row(fact: Fact) -> tuple[Table, Row]:
    if isinstance(fact, BlockFact):
        return DELIVERIES, _delivery(fact)
    if isinstance(fact, StartFact):
        return STARTS, _origin(fact.origin) | {
            "previous_stream_id": fact.previous_stream_id,
            "previous_last": fact.previous_last,
        }
    if isinstance(fact, LossFact):
        return LOSSES, _origin(fact.origin) | {
            "reason": fact.reason.value,
            "lost_stream_id": fact.lost.stream_id if fact.lost else None,
            "lost_first": fact.lost.first if fact.lost else None,
            "lost_last": fact.lost.last if fact.lost else None,
            "from_at": fact.from_at,
            "to_at": fact.to_at,
            "estimated_total": fact.estimated_total,
        }
    return HELD, _origin(fact.origin) | {"truncated": fact.truncated, "spans": _spans(fact)}


def _spans(fact: HeldFact) -> str:
    return json.dumps([[s.stream_id, s.first, s.last] for s in fact.spans], separators=(",", ":"))


def _origin(origin: SourceRecord) -> Row:
    return {
        "device_id": origin.device_id,
        "stream_id": origin.stream_id,
        "seq": origin.seq,
        "digest": origin.digest,
        "received_at": origin.received_at,
    }


def _delivery(fact: BlockFact) -> Row:
    sequence = fact.position.sequence
    totals = dict(fact.totals)
    return {
        "device_id": fact.device_id,
        "stream_id": fact.stream_id,
        "first_seq": fact.first,
        "last_seq": fact.last,
        "received_at": fact.received_at,
        "node": sequence.node,
        "start_id": sequence.start_id,
        "lane": sequence.lane.value,
        "n": fact.position.n,
        "digest": fact.digest,
        "payload_bytes": fact.payload_bytes,
        "first_at": fact.first_at,
        "last_at": fact.last_at,
    } | {f"{kind}_total": totals.get(kind, 0) for kind in Kind}
