"""Defines the tables of the ledger and of the quarantine.

The ledger's tables contain facts from the received blocks. A row never changes, except that
`received_at` becomes the time of the earliest delivery. So order and repetition of deliveries do
not matter. `cloud.ledger` computes the account from these facts at each query.
"""

from typing import Any

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import mysql

from cloud.warehouse.tables import METADATA, OPTIONS, Instant
from contract.records import Kind

__all__ = [
    "DELIVERIES",
    "HELD",
    "LOSSES",
    "MORE_DOCUMENTS",
    "QUARANTINE",
    "SEARCH_REFUSED",
    "STARTS",
]

_EVENT_KEY = ("device_id", "stream_id", "seq", "digest")


def _word(name: str, length: int = 63, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.VARCHAR(length), nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.BIGINT(), nullable=nullable, autoincrement=False)


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Instant(), nullable=nullable)


def _position(*, nullable: bool = False) -> list[Column[Any]]:
    return [
        _word("node", nullable=nullable),
        _word("start_id", nullable=nullable),
        _word("lane", 8, nullable=nullable),
        _integer("n", nullable=nullable),
    ]


def _event_key() -> list[Column[Any]]:
    # The key has the block's digest, so that two blocks with the same number give two rows.
    return [_word("device_id"), _word("stream_id", 13), _integer("seq"), _word("digest", 16)]


# Grain: one row per readable block in a committed file. The account reads the rows in the order of
# the key: a stream's blocks by their numbers; of blocks with equal numbers, the valid one first.
DELIVERIES = Table(
    "ledger_delivery",
    METADATA,
    _word("device_id"),
    _word("stream_id", 13),
    _integer("first_seq"),
    _integer("last_seq"),
    _instant("received_at"),
    *_position(),
    _word("digest", 16),
    _integer("payload_bytes"),
    _instant("first_at", nullable=True),
    _instant("last_at", nullable=True),
    *(_integer(f"{kind}_total") for kind in Kind),
    PrimaryKeyConstraint(
        "device_id",
        "stream_id",
        "first_seq",
        "last_seq",
        "received_at",
        "node",
        "n",
        "start_id",
        "lane",
        "digest",
    ),
    **OPTIONS,
)

# Grain: one row per Status record of phase `start`, which names the previous stream.
STARTS = Table(
    "ledger_stream",
    METADATA,
    *_event_key(),
    _instant("received_at"),
    _word("previous_stream_id", 13, nullable=True),
    _integer("previous_last", nullable=True),
    PrimaryKeyConstraint(*_EVENT_KEY),
    **OPTIONS,
)

# Grain: one row per Loss record, with lost_*, or with from_at and to_at if no numbers are known.
LOSSES = Table(
    "ledger_loss",
    METADATA,
    *_event_key(),
    _instant("received_at"),
    _word("reason"),
    _word("lost_stream_id", 13, nullable=True),
    _integer("lost_first", nullable=True),
    _integer("lost_last", nullable=True),
    _instant("from_at", nullable=True),
    _instant("to_at", nullable=True),
    _integer("estimated_total", nullable=True),
    PrimaryKeyConstraint(*_EVENT_KEY),
    **OPTIONS,
)

# Grain: one row per Held record; spans is JSON, [[stream, first, last], ...].
HELD = Table(
    "ledger_held",
    METADATA,
    *_event_key(),
    _instant("received_at"),
    Column("truncated", mysql.BOOLEAN(), nullable=False),
    Column("spans", mysql.MEDIUMTEXT(), nullable=False),
    PrimaryKeyConstraint(*_EVENT_KEY),
    **OPTIONS,
)

# Grain: one row per refused block (digest of its payload) or refused document (digest of its
# record's key), and reason. The position is that of the earliest delivery.
SEARCH_REFUSED = "search_refused"  # code of a document that the search server refused
MORE_DOCUMENTS = "more_documents"  # code of the row that counts a device's further refusals

QUARANTINE = Table(
    "quarantine_block",
    METADATA,
    _word("device_id"),
    _word("digest", 16),
    _word("code"),
    Column("reason", mysql.VARCHAR(500), nullable=False),
    _word("topic", 200, nullable=True),
    _word("record_key", 100, nullable=True),
    _instant("received_at"),
    *_position(nullable=True),
    Column("payload", mysql.MEDIUMBLOB(), nullable=False),
    PrimaryKeyConstraint("device_id", "digest", "code"),
    Index("ix_quarantine_block_received", "received_at"),
    **OPTIONS,
)
