"""Finds the number from which on each stream is read, if only recent blocks are checked.

A gateway may have sent millions of blocks, and a health query every few seconds must not read them
all. So all numbers below the blocks received since an instant count as stored. A stream is searched
from its end, in the order of the deliveries' key.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, func, select

from cloud.lake.positions import FileSequence, Position
from cloud.ledger.facts import BlockFact
from cloud.plausible import LARGEST_NUMBER
from cloud.warehouse.ledger_tables import DELIVERIES
from contract.topics import Lane

__all__ = ["Begin", "begins"]

_NOWHERE = Position(FileSequence("", "", Lane.LIVE), 0)


@dataclass(frozen=True, slots=True, order=True)
class Begin:
    """The number from which on a stream is read.

    Attributes:
        device_id: The device.
        stream_id: The stream.
        first: The first number to read; all numbers below count as stored.
    """

    device_id: str
    stream_id: str
    first: int

    def granted(self) -> Iterator[BlockFact]:
        """Returns one fact for all numbers below; none if `first` is 1."""
        if self.first > 1:
            yield BlockFact(
                device_id=self.device_id,
                stream_id=self.stream_id,
                first=1,
                last=self.first - 1,
                received_at=0,
                position=_NOWHERE,
                digest="",
                payload_bytes=0,
                first_at=None,
                last_at=None,
                totals=(),
            )


def begins(connection: Connection, devices: Collection[str] | None, since: int) -> list[Begin]:
    """Finds the begin of each stream, sorted by device and stream.

    Args:
        connection: Connection to the warehouse.
        devices: Devices of the streams; None for all.
        since: Blocks received before count as stored, ms since 1970 UTC.
    """
    found = []
    for row in connection.execute(_newest(devices)):
        first = row.last_seq + 1
        if row.received_at >= since:
            first = _first(connection, row.device_id, row.stream_id, since)
        found.append(Begin(row.device_id, row.stream_id, first))
    return sorted(found)


def _newest(devices: Collection[str] | None) -> Select[tuple[str, str, int, int]]:
    """Returns the query for each stream's block with the highest first number."""
    at = DELIVERIES.c
    highest = select(at.device_id, at.stream_id, func.max(at.first_seq).label("first_seq"))
    highest = highest.where(at.last_seq <= LARGEST_NUMBER)
    if devices is not None:
        highest = highest.where(at.device_id.in_(devices))
    of = highest.group_by(at.device_id, at.stream_id).subquery().c
    same = and_(
        at.device_id == of.device_id,
        at.stream_id == of.stream_id,
        at.first_seq == of.first_seq,
    )
    received_at = func.max(at.received_at, type_=at.received_at.type).label("received_at")
    return (
        select(at.device_id, at.stream_id, func.max(at.last_seq).label("last_seq"), received_at)
        .join(of.device_id.table, same)
        .group_by(at.device_id, at.stream_id)
    )


def _first(connection: Connection, device_id: str, stream_id: str, since: int) -> int:
    at = DELIVERIES.c
    query = (
        select(at.first_seq)
        .where(at.device_id == device_id, at.stream_id == stream_id, at.received_at < since)
        .order_by(at.first_seq.desc())
        .limit(1)
    )
    return connection.scalar(query) or 1
