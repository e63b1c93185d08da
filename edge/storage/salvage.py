"""Reads blocks out of a damaged outbox, page by page, without SQLite.

SQLite stops at the first damaged page of a tree. Here each page of the file and of its -wal is read
on its own, with the layout of https://www.sqlite.org/fileformat2.html, and each row is accepted by
its checksums. So one damaged page costs only the rows on it. Rows that were deleted since may be
found too: they are sent again, and the cloud stores them once.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from contract.errors import ContractError
from contract.records import Alert
from contract.wire import decode
from edge.storage.queued import Encoded
from edge.storage.row_checks import row_crc32, sound_memory

__all__ = ["Salvaged", "salvage"]

_PAGE = 4096  # SQLite's default since 2016; dewline never sets another
_WAL_HEADER, _FRAME_HEADER = 32, 24
_TABLE_LEAF, _INDEX_LEAF = 13, 10
_MOST_CELLS = 600
_MOST_PAYLOAD = 1_000_000
_MEMORY = ("alerts", "window", "window_newest", "forecasts")
# The most bytes of a row that a page holds; the rest is on overflow pages.
_LOCAL = {_TABLE_LEAF: _PAGE - 35, _INDEX_LEAF: (_PAGE - 12) * 64 // 255 - 23}
_LEAST_LOCAL = (_PAGE - 12) * 32 // 255 - 23
_FIXED_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}


@dataclass(slots=True)
class Salvaged:
    """Holds what was readable.

    Attributes:
        blocks: Blocks with their streams, in the order of their commits.
        memory: The sense loop's state, by name.
    """

    blocks: list[tuple[str, Encoded]] = field(default_factory=list)
    memory: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Page:
    number: int
    data: bytes


def salvage(path: Path) -> Salvaged:
    """Returns the readable blocks and state of an outbox and its -wal; a missing file is empty."""
    rows: dict[tuple[str, int], tuple[int, str, Encoded]] = {}
    found = Salvaged()
    with _mapped(path) as raw:
        frames = _pages_of_wal(Path(f"{path}-wal"))
        latest = _Latest(raw, {page.number: page.data for page in frames})
        for page in chain(map(latest.page_of_file, range(1, latest.count + 1)), frames):
            for row_id, values in _rows(page, _TABLE_LEAF, latest):
                block = _block(values)
                if block is not None:
                    stream, encoded = block
                    rows[stream, encoded.first] = (row_id, stream, encoded)
            for _, values in _rows(page, _INDEX_LEAF, latest):
                if len(values) in (2, 3) and values[0] in _MEMORY and sound_memory(*values[1:]):
                    found.memory[values[0]] = values[1]
    found.blocks = [(stream, block) for _, stream, block in sorted(rows.values(), key=_row_id)]
    return found


def _row_id(row: tuple[int, str, Encoded]) -> int:
    return row[0]


@contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    if not path.exists() or path.stat().st_size == 0:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        yield raw


@dataclass(frozen=True, slots=True)
class _Latest:
    """Finds pages by number; a page of the -wal is newer than the file's."""

    raw: bytes | mmap.mmap
    frames: dict[int, bytes]

    @property
    def count(self) -> int:
        return -(-len(self.raw) // _PAGE)

    def page_of_file(self, number: int) -> _Page:
        data = self.raw[(number - 1) * _PAGE : number * _PAGE]
        return _Page(number, data.ljust(_PAGE, b"\0"))

    def data(self, number: int) -> bytes:
        if number in self.frames:
            return self.frames[number]
        if not 0 < number <= self.count:
            raise IndexError(number)
        return self.page_of_file(number).data


def _pages_of_wal(path: Path) -> list[_Page]:
    """Returns the frames in the order of their writing, also those after a damaged one."""
    raw = path.read_bytes() if path.exists() else b""
    size, frames = _FRAME_HEADER + _PAGE, []
    for index, at in enumerate(range(_WAL_HEADER, len(raw) - _FRAME_HEADER, size)):
        number, _, salt = struct.unpack_from(">III", raw, at)
        data = raw[at + _FRAME_HEADER : at + size].ljust(_PAGE, b"\0")
        frames.append((salt, index, _Page(number, data)))
    # The first salt grows each time that SQLite begins the file again.
    return [page for _, _, page in sorted(frames, key=lambda frame: frame[:2])]


def _rows(page: _Page, kind: int, latest: _Latest) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yields (row id, values) of the page's cells, as if the page were of that kind."""
    begin = 100 if page.number == 1 else 0
    (cells,) = struct.unpack_from(">H", page.data, begin + 3)
    damaged = page.data[begin] not in (_TABLE_LEAF, _INDEX_LEAF) or cells > _MOST_CELLS
    if not damaged and page.data[begin] != kind:
        return
    for index in range(_MOST_CELLS if damaged else cells):
        pointer_at = begin + 8 + 2 * index
        (pointer,) = struct.unpack_from(">H", page.data, pointer_at)
        if not pointer_at < pointer < _PAGE - 4:
            if damaged:
                return
            continue
        try:
            yield _cell(page, pointer, kind, latest)
        except (IndexError, ValueError, KeyError, struct.error):
            continue


def _cell(page: _Page, at: int, kind: int, latest: _Latest) -> tuple[int, tuple[Any, ...]]:
    size, at = _varint(page.data, at)
    row_id = 0
    if kind == _TABLE_LEAF:
        row_id, at = _varint(page.data, at)
    if not 0 < size <= _MOST_PAYLOAD:
        raise ValueError("no row has this size")
    local = size
    if size > _LOCAL[kind]:
        wished = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (_PAGE - 4)
        local = wished if wished <= _LOCAL[kind] else _LEAST_LOCAL
    payload = page.data[at : at + local]
    if size > local:
        (following,) = struct.unpack_from(">I", page.data, at + local)
        payload += _overflow(following, size - local, latest)
    return row_id, _record(payload)


def _overflow(number: int, size: int, latest: _Latest) -> bytes:
    content = b""
    while len(content) < size:
        data = latest.data(number)
        (number,) = struct.unpack_from(">I", data)
        content += data[4:]
    return content[:size]


def _record(payload: bytes) -> tuple[Any, ...]:
    size, at = _varint(payload, 0)
    types = []
    while at < size:
        code, at = _varint(payload, at)
        types.append(code)
    if at != size or len(types) > 16:
        raise ValueError("no row has such a header")
    values = []
    for code in types:
        length = _FIXED_BYTES[code] if code < 12 else (code - 12) // 2
        values.append(_value(code, payload[at : at + length]))
        at += length
    if at != len(payload):
        raise ValueError("the row has another size")
    return tuple(values)


def _value(code: int, content: bytes) -> Any:
    if code == 0:
        return None
    if code in (8, 9):
        return code - 8
    if code < 12:
        return int.from_bytes(content, "big", signed=True)
    return content if code % 2 == 0 else content.decode()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _block(values: tuple[Any, ...]) -> tuple[str, Encoded] | None:
    """Returns the block of a row and its stream; None if it is another row, or damaged."""
    if len(values) not in (7, 8):
        return None
    _, stream, first, last, alert, payload, crc32, row_crc = (*values, None)[:8]
    if not isinstance(payload, bytes) or zlib.crc32(payload) != crc32:
        return None
    if row_crc is not None and row_crc32(stream, first, last, alert) == row_crc:
        return stream, Encoded(first, last, bool(alert), payload)
    return _decoded(payload)  # a row without a checksum, or with damaged numbers


def _decoded(payload: bytes) -> tuple[str, Encoded] | None:
    try:
        block = decode(payload)
    except ContractError:
        return None
    alert = any(isinstance(timed.event, Alert) for timed in block.events)
    return block.stream_id, Encoded(block.first, block.last, alert, payload)
