"""Computes and checks the checksums of rows: a block's stream, numbers and lane, and states."""

import json
import zlib

__all__ = ["row_crc32", "sound_memory"]


def row_crc32(stream_id: object, first: object, last: object, alert: object) -> int:
    """Returns the checksum of a row's columns beside the payload."""
    return zlib.crc32(f"{stream_id} {first} {last} {_whole(alert)}".encode("utf-8", "replace"))


def sound_memory(text: object, crc32: int | None = None) -> bool:
    """Returns whether a stored state is as it was written; old rows have no checksum."""
    if not isinstance(text, str):
        return False
    if crc32 is not None:
        return zlib.crc32(text.encode("utf-8", "replace")) == crc32
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _whole(alert: object) -> object:
    return int(alert) if isinstance(alert, bool) else alert
