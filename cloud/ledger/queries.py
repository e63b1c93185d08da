"""Reads the ledger's facts from MySQL and computes accounts, one device at a time.

One transaction reads everything, so all facts are of the same moment. Facts from records are few
and are read first. Deliveries are streamed in the order of their key, so a million blocks need only
the memory of one device's streams.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    and_,
    func,
    or_,
    select,
)

from cloud.instants import LAST_INSTANT
from cloud.lake.positions import FileSequence, Position
from cloud.ledger.account import DeviceAccount, Told, account
from cloud.ledger.facts import BlockFact, HeldFact, LossFact, SourceRecord, StartFact
from cloud.ledger.recent import begins
from cloud.ledger.tally import BlockLine, block_lines, tallies
from cloud.plausible import LARGEST_NUMBER, plausible_number
from cloud.warehouse.engine import converted
from cloud.warehouse.ledger_tables import DELIVERIES, HELD, LOSSES, STARTS
from contract.records import Kind, LossReason, Span
from contract.topics import Lane

__all__ = ["LedgerReader"]

_FETCH_ROWS = 5000
_F = TypeVar("_F", StartFact, LossFact, HeldFact)
# An older program stored facts with implausible numbers. They must not reach a sum over the fleet.
_NUMBERS = {
    DELIVERIES: ("last_seq",),
    STARTS: ("seq", "previous_last"),
    LOSSES: ("seq", "lost_last", "estimated_total"),
    HELD: ("seq",),
}


class LedgerReader:
    """Reads the ledger as of an instant."""

    def __init__(
        self,
        engine: Engine,
        *,
        as_of: int | None = None,
        devices: Collection[str] | None = None,
        since: int | None = None,
    ) -> None:
        """Stores the arguments, without reading.

        Args:
            engine: Connection to the warehouse.
            as_of: Facts received up to this instant, ms since 1970 UTC; None for all.
            devices: Devices to read; None for all.
            since: Numbers received before this instant, ms since 1970 UTC, count as stored and are
                not read; None to read all numbers.
        """
        self._engine = engine
        self._since = since
        self._as_of = LAST_INSTANT if as_of is None else as_of
        self._devices = devices

    def accounts(self) -> Iterator[DeviceAccount]:
        """Returns one account per device, sorted by its id.

        Raises:
            WarehouseError: The server did not answer; the accounts so far are incomplete.
        """
        with converted(), self._engine.connect() as connection:
            starts = _by_device(_start(r) for r in self._rows(connection, STARTS))
            losses = _by_device(_loss(r) for r in self._rows(connection, LOSSES))
            newest = map(_held, connection.execute(self._newest_held()))
            held = _by_device(h for h in newest if all(plausible_number(s.last) for s in h.spans))
            streams = tallies(self._deliveries(connection))
            for device_id, of_device in groupby(streams, key=lambda t: t.device_id):
                told = Told(
                    starts=tuple(starts[device_id]),
                    losses=tuple(losses[device_id]),
                    held=tuple(held[device_id]),
                )
                yield account(device_id, tuple(of_device), told)

    def block_lines(self) -> Iterator[BlockLine]:
        """Returns every distinct block, in the order of the proof.

        Raises:
            WarehouseError: The server did not answer; the lines so far are incomplete.
        """
        with converted(), self._engine.connect() as connection:
            yield from block_lines(self._deliveries(connection))

    def _deliveries(self, connection: Connection) -> Iterator[BlockFact]:
        if self._since is None:
            yield from _streamed(connection, self._wanted(DELIVERIES))
            return
        at = DELIVERIES.c
        for begin in begins(connection, self._devices, self._since):
            yield from begin.granted()
            yield from _streamed(
                connection,
                [
                    at.device_id == begin.device_id,
                    at.stream_id == begin.stream_id,
                    at.first_seq >= begin.first,
                    at.last_seq <= LARGEST_NUMBER,
                    at.received_at <= self._as_of,
                ],
            )

    def _rows(self, connection: Connection, table: Table) -> Iterator[Row[Any]]:
        yield from connection.execute(select(table).where(*self._wanted(table)))

    def _wanted(self, table: Table) -> list[ColumnElement[bool]]:
        wanted = [table.c.received_at <= self._as_of]
        if self._devices is not None:
            wanted.append(table.c.device_id.in_(self._devices))
        numbers = (table.c[name] for name in _NUMBERS[table])
        return wanted + [or_(n.is_(None), n <= LARGEST_NUMBER) for n in numbers]

    def _newest_held(self) -> Select[Any]:
        at = HELD.c
        newest = (
            select(at.device_id, at.stream_id, func.max(at.seq).label("seq"))
            .where(*self._wanted(HELD))
            .group_by(at.device_id, at.stream_id)
            .subquery()
        )
        return (
            select(HELD)
            .join(
                newest,
                and_(
                    at.device_id == newest.c.device_id,
                    at.stream_id == newest.c.stream_id,
                    at.seq == newest.c.seq,
                ),
            )
            .where(*self._wanted(HELD))
        )


def _streamed(connection: Connection, wanted: Sequence[ColumnElement[bool]]) -> Iterator[BlockFact]:
    query = select(DELIVERIES).where(*wanted).order_by(*DELIVERIES.primary_key)
    rows = connection.execute(
        query, execution_options={"stream_results": True, "max_row_buffer": _FETCH_ROWS}
    )
    for row in rows:
        yield _delivery(row)


def _by_device(facts: Iterator[_F]) -> defaultdict[str, list[_F]]:
    grouped: defaultdict[str, list[_F]] = defaultdict(list)
    for fact in facts:
        grouped[fact.origin.device_id].append(fact)
    return grouped


def _delivery(row: Row[Any]) -> BlockFact:
    return BlockFact(
        device_id=row.device_id,
        stream_id=row.stream_id,
        first=row.first_seq,
        last=row.last_seq,
        received_at=row.received_at,
        position=Position(FileSequence(row.node, row.start_id, Lane(row.lane)), row.n),
        digest=row.digest,
        payload_bytes=row.payload_bytes,
        first_at=row.first_at,
        last_at=row.last_at,
        totals=tuple((k, t) for k in Kind if (t := getattr(row, f"{k}_total"))),
    )


def _origin(row: Row[Any]) -> SourceRecord:
    return SourceRecord(
        device_id=row.device_id,
        stream_id=row.stream_id,
        seq=row.seq,
        digest=row.digest,
        received_at=row.received_at,
    )


def _start(row: Row[Any]) -> StartFact:
    return StartFact(
        origin=_origin(row),
        previous_stream_id=row.previous_stream_id,
        previous_last=row.previous_last,
    )


def _loss(row: Row[Any]) -> LossFact:
    lost = None
    if row.lost_stream_id is not None:
        lost = Span(stream_id=row.lost_stream_id, first=row.lost_first, last=row.lost_last)
    return LossFact(
        origin=_origin(row),
        reason=LossReason(row.reason),
        lost=lost,
        from_at=row.from_at,
        to_at=row.to_at,
        estimated_total=row.estimated_total,
    )


def _held(row: Row[Any]) -> HeldFact:
    spans = (Span(stream_id=s, first=f, last=t) for s, f, t in json.loads(row.spans))
    return HeldFact(origin=_origin(row), spans=tuple(spans), truncated=row.truncated)
