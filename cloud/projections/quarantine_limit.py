"""Limits the rows of quarantine for each device; what is beyond the limit is counted.

One broken device can send hundreds of thousands of unreadable blocks. Some of them show the reason,
and the lake has all of them. So a device keeps `ROWS` rows or `BYTES` payload bytes, and one row
with code `more` for each sequence of files says how many blocks came after that. That row also
holds the last file that it counts, so applying a file again changes nothing.

The documents of a device that Elasticsearch refuses have the same limits. Beyond them, one row with
code `more_documents` counts refusals: a document that is refused again is counted again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.dialects.mysql import insert

from cloud.lake.positions import FileSequence, Position
from cloud.warehouse.ledger_tables import MORE_DOCUMENTS, QUARANTINE, SEARCH_REFUSED
from contract.keys import payload_digest

__all__ = [
    "BLOCKS",
    "BYTES",
    "DOCUMENTS",
    "MORE",
    "MORE_DOCUMENTS",
    "ROWS",
    "count_documents",
    "count_surplus",
    "divided",
]

MORE = "more"
ROWS = 1_000
BYTES = 20_000_000

# Rows that count towards a limit. Only rows with a topic are blocks.
BLOCKS: ColumnElement[bool] = QUARANTINE.c.topic.is_not(None)
DOCUMENTS: ColumnElement[bool] = QUARANTINE.c.code == SEARCH_REFUSED


class Refused(Protocol):
    """What the limit needs of a refused block or document."""

    @property
    def device_id(self) -> str:
        """Device that sent it."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the block, or of the document's key."""
        ...

    @property
    def code(self) -> str:
        """Name of the broken rule."""
        ...

    @property
    def received_at(self) -> int:
        """When it was received, ms since 1970 UTC."""
        ...

    @property
    def payload(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def position(self) -> Position | None:
        """File with the block; None for a document."""
        ...


B = TypeVar("B", bound=Refused)


@dataclass(slots=True)
class _Room:
    rows: int
    size_bytes: int

    def take(self, size_bytes: int) -> bool:
        if self.rows <= 0 or self.size_bytes <= 0:
            return False
        self.rows -= 1
        self.size_bytes -= size_bytes
        return True


def divided(
    connection: Connection, items: Sequence[B], limited: ColumnElement[bool]
) -> tuple[list[B], list[B]]:
    """Returns the items that get a row, and those that are only counted.

    Args:
        connection: Connection to the warehouse.
        items: Refused blocks, or refused documents.
        limited: `BLOCKS` or `DOCUMENTS`.
    """
    kept: list[B] = []
    surplus: list[B] = []
    for device_id, own in _by_device(items).items():
        room, known = _room(connection, device_id, limited), _known(connection, device_id, own)
        for item in own:
            key = (item.digest, item.code)
            if key in known or room.take(len(item.payload)):
                known.add(key)
                kept.append(item)
            else:
                surplus.append(item)
    return kept, surplus


def count_surplus(connection: Connection, surplus: Iterable[Refused]) -> None:
    """Adds the blocks to the row `more` of their device and sequence; repeats change nothing."""
    numbers: defaultdict[tuple[str, FileSequence], list[tuple[int, int]]] = defaultdict(list)
    for block in surplus:
        if block.position is not None:
            key = (block.device_id, block.position.sequence)
            numbers[key].append((block.position.n, block.received_at))
    for (device_id, sequence), counted in numbers.items():
        _count(connection, device_id, sequence, counted)


def count_documents(connection: Connection, surplus: Iterable[Refused]) -> None:
    """Adds refusals of documents to the row `more_documents` of their device."""
    at = QUARANTINE.c
    for device_id, own in _by_device(list(surplus)).items():
        digest = payload_digest(MORE_DOCUMENTS.encode())
        key = (at.device_id == device_id, at.digest == digest, at.code == MORE_DOCUMENTS)
        counted = connection.scalar(select(at.payload).where(*key).with_for_update())
        total = len(own) + (0 if counted is None else int(counted))
        values = {
            "reason": f"Elasticsearch refused documents of this device {total} more times; "
            "the lake has their records",
            "received_at": max(item.received_at for item in own),
            "payload": b"%d" % total,
        }
        fixed = {"device_id": device_id, "digest": digest, "code": MORE_DOCUMENTS}
        statement = insert(QUARANTINE).values(**fixed, **values)
        connection.execute(statement.on_duplicate_key_update(values))


def _count(
    connection: Connection,
    device_id: str,
    sequence: FileSequence,
    counted: Sequence[tuple[int, int]],
) -> None:
    at = QUARANTINE.c
    digest = payload_digest(f"{sequence.node}/{sequence.start_id}/{sequence.lane}".encode())
    key = (at.device_id == device_id, at.digest == digest, at.code == MORE)
    row = connection.execute(select(at.n, at.payload).where(*key).with_for_update()).one_or_none()
    last, total = (0, 0) if row is None else (row.n, int(row.payload))
    new = [(n, received_at) for n, received_at in counted if n > last]
    if not new:
        return
    total += len(new)
    values = _values(sequence, total, max(n for n, _ in new), max(at for _, at in new))
    statement = insert(QUARANTINE).values(device_id=device_id, digest=digest, code=MORE, **values)
    connection.execute(statement.on_duplicate_key_update(values))


def _values(sequence: FileSequence, total: int, last: int, received_at: int) -> dict[str, Any]:
    return {
        "reason": f"{total} more unreadable blocks of this device are in the lake, without a row",
        "received_at": received_at,
        "node": sequence.node,
        "start_id": sequence.start_id,
        "lane": sequence.lane.value,
        "n": last,
        "payload": b"%d" % total,
    }


def _by_device(items: Sequence[B]) -> dict[str, list[B]]:
    found: defaultdict[str, list[B]] = defaultdict(list)
    for item in items:
        found[item.device_id].append(item)
    return found


def _room(connection: Connection, device_id: str, limited: ColumnElement[bool]) -> _Room:
    at = QUARANTINE.c
    query = select(func.count(), func.coalesce(func.sum(func.octet_length(at.payload)), 0)).where(
        at.device_id == device_id, limited
    )
    rows, size_bytes = connection.execute(query).one()
    return _Room(ROWS - rows, BYTES - int(size_bytes))


def _known(
    connection: Connection, device_id: str, items: Sequence[Refused]
) -> set[tuple[str, str]]:
    at = QUARANTINE.c
    digests = {item.digest for item in items}
    query = select(at.digest, at.code).where(at.device_id == device_id, at.digest.in_(digests))
    return {(digest, code) for digest, code in connection.execute(query)}
