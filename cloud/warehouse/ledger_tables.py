"""Tables of the ledger and of the quarantine.

The ledger's tables hold facts as they came, each row immutable but for `received_at`, which is the
earliest of its deliveries. So the order of arrival and repetition change nothing; what the facts
mean is computed when somebody asks (`cloud.ledger`).
"""

from typing import Any

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import mysql

from cloud.warehouse.tables import METADATA, OPTIONS, Instant
from contract.records import Kind

__all__ = ["DELIVERIES", "HELD", "LOSSES", "QUARANTINE", "STARTS"]

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
    # The digest of the block: two blocks that claim one number are two facts, not a race.
    return [_word("device_id"), _word("stream_id", 13), _integer("seq"), _word("digest", 16)]


# Grain: one row per readable block in a committed file. The key is in the order in which the
# account reads it: a stream's blocks by their numbers, of equal numbers the winner first.
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

# Grain: one row per Status record of phase `start`, which names the stream before its own.
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

# Grain: one row per Loss record; either lost_* or, where no numbers are known, from_at to to_at.
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

# Grain: one row per refused thing and reason: a block (digest of its payload) or a document that a
# target refused (digest of its record's key). The position is that of the earliest delivery.
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
