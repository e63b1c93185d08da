"""Limits the rows of quarantine for each device; what is beyond the limit is counted.

One broken device can send hundreds of thousands of unreadable blocks. Some of them show the reason,
and the lake has all of them. So a device keeps `ROWS` rows or `BYTES` payload bytes, and one row
with code `more` for each sequence of files says how many blocks came after that. That row also
holds the last file that it counts, so applying a file again changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.mysql import insert

from cloud.lake.positions import FileSequence, Position
from cloud.warehouse.ledger_tables import QUARANTINE
from contract.keys import payload_digest

__all__ = ["BYTES", "MORE", "ROWS", "count_surplus", "divided"]

MORE = "more"
ROWS = 1_000
BYTES = 20_000_000


class Refused(Protocol):
    """What the limit needs of a refused block."""

    @property
    def device_id(self) -> str:
        """Device that sent the block."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the block."""
        ...

    @property
    def code(self) -> str:
        """Name of the broken rule."""
        ...

    @property
    def received_at(self) -> int:
        """When the block was received, ms since 1970 UTC."""
        ...

    @property
    def payload(self) -> bytes:
        """Bytes of the block."""
        ...

    @property
    def position(self) -> Position | None:
        """File with the block."""
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


def divided(connection: Connection, blocks: Sequence[B]) -> tuple[list[B], list[B]]:
    """Returns the blocks that get a row, and those that are only counted."""
    kept: list[B] = []
    surplus: list[B] = []
    for device_id, own in _by_device(blocks).items():
        room, known = _room(connection, device_id), _known(connection, device_id, own)
        for block in own:
            key = (block.digest, block.code)
            if key in known or room.take(len(block.payload)):
                known.add(key)
                kept.append(block)
            else:
                surplus.append(block)
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


def _by_device(blocks: Sequence[B]) -> dict[str, list[B]]:
    found: defaultdict[str, list[B]] = defaultdict(list)
    for block in blocks:
        found[block.device_id].append(block)
    return found


def _room(connection: Connection, device_id: str) -> _Room:
    at = QUARANTINE.c
    # Only rows with a place in the lake and a topic are blocks: neither documents nor counts.
    query = select(func.count(), func.coalesce(func.sum(func.octet_length(at.payload)), 0)).where(
        at.device_id == device_id, at.topic.is_not(None)
    )
    rows, size_bytes = connection.execute(query).one()
    return _Room(ROWS - rows, BYTES - int(size_bytes))


def _known(
    connection: Connection, device_id: str, blocks: Sequence[Refused]
) -> set[tuple[str, str]]:
    at = QUARANTINE.c
    digests = {block.digest for block in blocks}
    query = select(at.digest, at.code).where(at.device_id == device_id, at.digest.in_(digests))
    return {(digest, code) for digest, code in connection.execute(query)}
