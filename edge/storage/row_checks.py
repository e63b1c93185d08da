"""Computes the checksum of a block's row: stream, numbers and lane; its payload has its own."""

import zlib

__all__ = ["row_crc32"]


def row_crc32(stream_id: object, first: object, last: object, alert: object) -> int:
    """Returns the checksum of a row's columns beside the payload."""
    return zlib.crc32(f"{stream_id} {first} {last} {_whole(alert)}".encode("utf-8", "replace"))


def _whole(alert: object) -> object:
    return int(alert) if isinstance(alert, bool) else alert
