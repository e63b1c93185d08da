"""Makes the ids of streams, records and alerts, and the day to which a record belongs."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime

__all__ = [
    "UNSYNCED_DAY",
    "Key",
    "alert_id",
    "event_day",
    "import_stream_id",
    "is_import",
    "payload_digest",
    "stream_id",
]

UNSYNCED_DAY = date(1970, 1, 1)  # for rows without a trusted clock, until a ClockFix moves them


_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_IMPORT = "im"


@dataclass(frozen=True, slots=True)
class Key:
    """Identifies a record in every store."""

    device_id: str
    stream_id: str
    seq: int

    def __str__(self) -> str:
        return f"{self.device_id}:{self.stream_id}:{self.seq}"


def stream_id(random_bytes: bytes) -> str:
    """Returns a stream's id, 13 characters of base32, from 8 random bytes made at each start."""
    if len(random_bytes) != 8:
        raise ValueError(f"a stream id is made of 8 bytes, not {len(random_bytes)}")
    return base64.b32encode(random_bytes).decode("ascii").rstrip("=").lower()


def import_stream_id(digest: bytes) -> str:
    """Returns the id of a stream of imported records, from a digest of at least 8 bytes.

    The digest is that of the imported file's content and device, so the same file has the same
    stream. The id begins with `im` and ends with a character that no random id ends with: 64 bits
    fill 13 characters of base32 except the last bit, which is 0 in random ids and 1 here.
    """
    random = stream_id(digest[:8])
    return f"{_IMPORT}{random[2:12]}{_BASE32[_BASE32.index(random[12]) + 1]}"


def is_import(stream: str) -> bool:
    """Returns whether a stream's records were imported, and not sent by a gateway."""
    return stream.startswith(_IMPORT) and len(stream) == 13 and stream[12] in _BASE32[1::2]


def event_day(observed_at: int | None) -> date:
    """Returns the UTC day of an instant, ms since 1970; `UNSYNCED_DAY` for None."""
    if observed_at is None:
        return UNSYNCED_DAY
    return datetime.fromtimestamp(observed_at // 1000, tz=UTC).date()


def alert_id(condition_id: str, began_stream_id: str, began_offset_ms: int) -> str:
    """Returns the id that an alert's raised and cleared records share.

    The id is a hash of the arguments and not random. So a gateway that dies between raising and
    committing an alert raises the same alert again after its restart.
    """
    text = f"{condition_id}|{began_stream_id}|{began_offset_ms}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def payload_digest(payload: bytes) -> str:
    """Returns 16 hexadecimal digits by which an ack names a block that cannot be decoded."""
    return hashlib.sha256(payload).hexdigest()[:16]
