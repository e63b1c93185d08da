"""Packs and unpacks a bundle's file: a zip in which no byte can differ without being noticed.

Any unzip program opens the file. `unpack_members` accepts only one layout: the given members in the
given order, deflated, without dates, comments, attributes or extra fields. It computes all bytes
that are not a member's data and compares them with the file. So the file cannot contain hidden,
overlapping, repeated or encrypted members, and all programs find the same members in it. The
content of the members does not matter here.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from models.errors import BundleRefused

__all__ = ["pack_members", "unpack_members"]

_VERSION = 20  # version 2.0 of the zip format, the first with deflate
_DEFLATED = 8
_NEW_YEAR_1980 = 0x21  # the earliest date of the zip format
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    crc: int
    packed_bytes: int
    size_bytes: int

    def local(self) -> bytes:
        """Returns the local header, which precedes the member's data."""
        name = self.name.encode("ascii")
        fixed = (_VERSION, 0, _DEFLATED, 0, _NEW_YEAR_1980)
        sizes = (self.crc, self.packed_bytes, self.size_bytes)
        return _LOCAL.pack(b"PK\x03\x04", *fixed, *sizes, len(name), 0) + name

    def central(self, offset: int) -> bytes:
        """Returns the member's entry in the directory at the end of the file."""
        name = self.name.encode("ascii")
        fixed = (_VERSION, _VERSION, 0, _DEFLATED, 0, _NEW_YEAR_1980)
        sizes = (self.crc, self.packed_bytes, self.size_bytes)
        rest = (len(name), 0, 0, 0, 0, 0, offset)
        return _CENTRAL.pack(b"PK\x01\x02", *fixed, *sizes, *rest) + name


def pack_members(members: Mapping[str, bytes]) -> bytes:
    """Returns the file: the same bytes for the same members and the same version of zlib.

    Args:
        members: Data by name, in the order of the file; names are ASCII.
    """
    entries, parts = [], []
    for name, data in members.items():
        packed = _deflated(data)
        entry = _Entry(name, zlib.crc32(data), len(packed), len(data))
        entries.append(entry)
        parts += [entry.local(), packed]
    return b"".join(parts) + _directory(entries)


def unpack_members(data: bytes, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Returns the members of a file that `pack_members` wrote.

    Args:
        data: The file.
        limits: The largest size of each member, bytes, in the order of the file. A member is
            inflated to at most the size that it declares, which may not exceed the limit.

    Raises:
        BundleRefused: `too_large` or `not_a_bundle`.
    """
    members: dict[str, bytes] = {}
    entries: list[_Entry] = []
    at = 0
    for name, limit in limits.items():
        entry = _entry(data, at, name)
        if entry.size_bytes > limit:
            raise BundleRefused(
                "too_large", f"{name} declares {entry.size_bytes} bytes, at most {limit}"
            )
        begin = at + len(entry.local())
        at = begin + entry.packed_bytes
        members[name] = _inflated(data[begin:at], entry)
        entries.append(entry)
    if data[at:] != _directory(entries):
        raise BundleRefused(
            "not_a_bundle",
            f"unexpected bytes after {entries[-1].name}: the file is damaged or cut off, contains "
            "more members, or was packed by another program",
        )
    return members


def _entry(data: bytes, at: int, name: str) -> _Entry:
    header = data[at : at + _LOCAL.size]
    if len(header) == _LOCAL.size:
        crc, packed_bytes, size_bytes = _LOCAL.unpack(header)[6:9]
        entry = _Entry(name, crc, packed_bytes, size_bytes)
        if data.startswith(entry.local(), at):
            return entry
    raise BundleRefused(
        "not_a_bundle",
        f"expected member {name} at byte {at}: the file is cut off, damaged or not a bundle",
    )


def _deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def _inflated(packed: bytes, entry: _Entry) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(packed, entry.size_bytes + 1)
    except zlib.error as error:
        raise BundleRefused("not_a_bundle", f"{entry.name} is damaged: {error}") from error
    if len(data) > entry.size_bytes:
        raise BundleRefused(
            "too_large", f"{entry.name} inflates to more than its declared {entry.size_bytes} bytes"
        )
    whole = inflater.eof and not inflater.unused_data and len(packed) == entry.packed_bytes
    if not whole or len(data) < entry.size_bytes or zlib.crc32(data) != entry.crc:
        raise BundleRefused("not_a_bundle", f"{entry.name} is damaged or cut off")
    return data


def _directory(entries: list[_Entry]) -> bytes:
    offset, parts = 0, []
    for entry in entries:
        parts.append(entry.central(offset))
        offset += len(entry.local()) + entry.packed_bytes
    central = b"".join(parts)
    counts = (0, 0, len(entries), len(entries))
    return central + _END.pack(b"PK\x05\x06", *counts, len(central), offset, 0)
