"""Stores the quarantine: unreadable blocks, implausible records, documents that search refuses.

No data are lost: the lake also has the block, and a newer decoder can replay the lake. A row's key
is the refused item and the reason's code, so repeats change nothing. The numbers of a device's
blocks and documents are limited (`cloud.projections.quarantine_limit`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select
from sqlalchemy.dialects.mysql import insert

from cloud.clock import Clock
from cloud.lake.positions import FileSequence, LandedBlock, LandedFile, Position
from cloud.plausible import set_aside
from cloud.projections.quarantine_limit import (
    BLOCKS,
    DOCUMENTS,
    MORE,
    MORE_DOCUMENTS,
    count_documents,
    count_surplus,
    divided,
)
from cloud.search.bulk import RefusedDocument
from cloud.warehouse.engine import converted
from cloud.warehouse.ledger_tables import QUARANTINE, SEARCH_REFUSED
from contract.errors import ContractError
from contract.keys import payload_digest
from contract.topics import Lane
from contract.wire import decode

__all__ = ["SEARCH_REFUSED", "Quarantine", "QuarantineProjection", "Quarantined"]

_COUNTS = (MORE, MORE_DOCUMENTS)
_REASON_CHARACTERS = 500
_FETCH_ROWS = 20  # each row may have a payload of 200 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A refused block or document, and the reason.

    Attributes:
        device_id: The device that sent it.
        digest: `payload_digest` of the block, or of the record's key for a document.
        code: Short stable name of the broken rule.
        reason: Reason as text.
        received_at: When it was first received, ms since 1970 UTC.
        payload: The bytes of the block, or the JSON of the document.
        topic: Topic of the block.
        record_key: Key of the document's record.
        position: Position of the committed file with the block.
    """

    device_id: str
    digest: str
    code: str
    reason: str
    received_at: int
    payload: bytes
    topic: str | None = None
    record_key: str | None = None
    position: Position | None = None


class Quarantine:
    """Reads and writes the quarantine's table."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def add_blocks(self, items: Sequence[Quarantined]) -> None:
        """Store the blocks as far as their devices' limits allow; count the others.

        Raises:
            WarehouseError: No block was written or counted.
        """
        if items:
            with converted(), self._engine.begin() as connection:
                kept, surplus = divided(connection, items, BLOCKS)
                if kept:
                    _insert(connection, kept)
                count_surplus(connection, surplus)

    def put(self, refused: Sequence[RefusedDocument]) -> None:
        """Store documents that search refuses as far as their devices' limits allow; count others.

        Raises:
            WarehouseError: No document was written or counted.
        """
        received_at = self._clock.utc_ms()
        items = [_of_document(document, received_at) for document in refused]
        with converted(), self._engine.begin() as connection:
            kept, surplus = divided(connection, items, DOCUMENTS)
            if kept:
                _insert(connection, kept)
            count_documents(connection, surplus)

    def items(self, *, as_of: int, newest: int | None = None) -> Iterator[Quarantined]:
        """Return the items received up to `as_of` (ms), newest first; at most `newest` items.

        Raises:
            WarehouseError: The server did not answer; the items so far are incomplete.
        """
        at = QUARANTINE.c
        query = (
            select(QUARANTINE)
            .where(at.received_at <= as_of, at.code.not_in(_COUNTS))
            .order_by(at.received_at.desc(), at.device_id, at.digest, at.code)
            .limit(newest)
        )
        yield from self._stream(query)

    def counted(self, *, as_of: int) -> tuple[tuple[str, int], ...]:
        """Return the devices over the limit, each with its number of blocks without a row."""
        return self._without_row(MORE, as_of)

    def counted_documents(self, *, as_of: int) -> tuple[tuple[str, int], ...]:
        """Return the devices over the limit, each with its refusals of documents without a row."""
        return self._without_row(MORE_DOCUMENTS, as_of)

    def _without_row(self, code: str, as_of: int) -> tuple[tuple[str, int], ...]:
        at = QUARANTINE.c
        query = select(at.device_id, at.payload).where(at.code == code, at.received_at <= as_of)
        found: dict[str, int] = {}
        with converted(), self._engine.connect() as connection:
            for device_id, total in connection.execute(query):
                found[device_id] = found.get(device_id, 0) + int(total)
        return tuple(sorted(found.items()))

    def totals(self, *, as_of: int) -> tuple[tuple[str, int], ...]:
        """Count the rows of each code that were received up to `as_of`, ms since 1970 UTC."""
        at = QUARANTINE.c
        query = (
            select(at.code, func.count())
            .where(at.received_at <= as_of, at.code.not_in(_COUNTS))
            .group_by(at.code)
            .order_by(at.code)
        )
        with converted(), self._engine.connect() as connection:
            return tuple((code, total) for code, total in connection.execute(query))

    def _stream(self, query: Select[Any]) -> Iterator[Quarantined]:
        options = {"stream_results": True, "max_row_buffer": _FETCH_ROWS}
        with converted(), self._engine.connect() as connection:
            for row in connection.execute(query, execution_options=options):
                yield _item(row)


class QuarantineProjection:
    """Writes blocks to the quarantine: unreadable ones, and those with implausible records."""

    name = "quarantine"

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    def apply(self, files: Sequence[LandedFile]) -> None:
        """Store the refused blocks of the files; repeating it is safe.

        A block that ingest could not read (no stream) but today's decoder can is not stored.

        Raises:
            WarehouseError: Nothing was written; apply the same files again.
        """
        self._quarantine.add_blocks([item for file in files for item in _refused(file)])


def _insert(connection: Connection, items: Sequence[Quarantined]) -> None:
    statement = insert(QUARANTINE)
    new, old = statement.inserted, QUARANTINE.c
    moved = ("reason", "topic", "record_key", "node", "start_id", "lane", "n")
    earlier = new.received_at < old.received_at
    # MySQL assigns from left to right, so received_at must be last; a list keeps the order.
    changes = [(name, func.if_(earlier, new[name], old[name])) for name in moved]
    changes.append(("received_at", func.least(old.received_at, new.received_at)))
    connection.execute(statement.on_duplicate_key_update(changes), [_row(item) for item in items])


def _refused(file: LandedFile) -> Iterator[Quarantined]:
    for block in file.blocks:
        try:
            aside = set_aside(decode(block.payload, block.limits), block.received_at)
        except ContractError as error:
            yield _of_block(block, file.position, error.code, str(error))
        else:
            if aside.seqs:
                yield _of_block(block, file.position, aside.code, aside.reason)


def _of_block(block: LandedBlock, position: Position, code: str, reason: str) -> Quarantined:
    return Quarantined(
        device_id=block.device_id,
        digest=payload_digest(block.payload),
        code=code,
        reason=reason,
        received_at=block.received_at,
        payload=block.payload,
        topic=block.topic,
        position=position,
    )


def _of_document(refused: RefusedDocument, received_at: int) -> Quarantined:
    return Quarantined(
        device_id=refused.device_id,
        digest=payload_digest(refused.key.encode()),
        code=SEARCH_REFUSED,
        reason=refused.reason,
        received_at=received_at,
        payload=refused.document.encode(),
        record_key=refused.key,
    )


def _row(item: Quarantined) -> dict[str, Any]:
    # Reasons quote untrusted input, which must not send control characters to a terminal.
    reason = "".join(c if c.isprintable() else "?" for c in item.reason[:_REASON_CHARACTERS])
    at = item.position
    return {
        "device_id": item.device_id,
        "digest": item.digest,
        "code": item.code,
        "reason": reason,
        "topic": item.topic,
        "record_key": item.record_key,
        "received_at": item.received_at,
        "node": at.sequence.node if at else None,
        "start_id": at.sequence.start_id if at else None,
        "lane": at.sequence.lane.value if at else None,
        "n": at.n if at else None,
        "payload": item.payload,
    }


def _item(row: Any) -> Quarantined:
    position = None
    if row.node is not None:
        position = Position(FileSequence(row.node, row.start_id, Lane(row.lane)), row.n)
    return Quarantined(
        device_id=row.device_id,
        digest=row.digest,
        code=row.code,
        reason=row.reason,
        received_at=row.received_at,
        payload=row.payload,
        topic=row.topic,
        record_key=row.record_key,
        position=position,
    )
