"""Identity: streams, the key of a record, the day it belongs to, the id of an alert."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime

__all__ = ["UNSYNCED_DAY", "Key", "alert_id", "event_day", "payload_digest", "stream_id"]

UNSYNCED_DAY = date(1970, 1, 1)  # rows whose clock was not believable, until a ClockFix moves them


@dataclass(frozen=True, slots=True)
class Key:
    """Identity of a record everywhere it is stored."""

    device_id: str
    stream_id: str
    seq: int

    def __str__(self) -> str:
        return f"{self.device_id}:{self.stream_id}:{self.seq}"


def stream_id(random_bytes: bytes) -> str:
    """A stream's id, 13 characters of base32, from 8 random bytes minted at each start."""
    if len(random_bytes) != 8:
        raise ValueError(f"a stream id is made of 8 bytes, not {len(random_bytes)}")
    return base64.b32encode(random_bytes).decode("ascii").rstrip("=").lower()


def event_day(observed_at: int | None) -> date:
    """The UTC day of an instant, ms since 1970; `UNSYNCED_DAY` where none is known."""
    if observed_at is None:
        return UNSYNCED_DAY
    return datetime.fromtimestamp(observed_at // 1000, tz=UTC).date()


def alert_id(condition_id: str, began_stream_id: str, began_offset_ms: int) -> str:
    """Id shared by an alert's raised and cleared records.

    It is derived, not minted, so that a gateway that died between raising and committing raises the
    same alert again after its restart.
    """
    text = f"{condition_id}|{began_stream_id}|{began_offset_ms}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def payload_digest(payload: bytes) -> str:
    """Short name of a payload, 16 hexadecimal digits: how an ack names an unreadable block."""
    return hashlib.sha256(payload).hexdigest()[:16]
