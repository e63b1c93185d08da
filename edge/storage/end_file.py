"""Keeps the stream's end in a file beside the outbox, and locks the outbox for this process.

A damaged, deleted or replaced outbox cannot say which numbers it contained. So the end is also kept
in a file of 64 KiB, which is written in place and never grows, even on a full disk. It has two
slots, each with a checksum:

- the first names the last commit. It is written after each commit and left to the system's cache,
  which survives a kill of the process. A power cut may set it back by some seconds.
- the second reserves numbers ahead and names older streams whose blocks may still wait. It is
  written with fsync, once per some minutes. After a power cut it bounds the missing numbers.

An error of this file never stops a commit. It is logged, and the file is created again later.
"""

import fcntl
import json
import logging
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge.errors import OutboxInUse
from edge.storage.stream_end import Kept, StreamEnd

__all__ = ["EndFile", "Known", "end_path"]

log = logging.getLogger(__name__)

_SIZE = 65_536
_SLOT = 4096  # the first slot; the second has the rest
_MOST_STREAMS = 1500
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_AGAIN_S = 5.0  # time until a file that cannot be opened is tried again


@dataclass(frozen=True, slots=True)
class Known:
    """Holds what the file says at a start.

    Attributes:
        end: The end of the stream that committed last; None if nothing was committed.
        ends: Last number of each stream whose blocks may wait, oldest stream first. After a power
            cut the last one is an upper bound.
        announced: The stream that began last; it may have committed nothing.
        kept: Records that this stream kept in memory; None if there were none.
    """

    end: StreamEnd | None
    ends: tuple[tuple[str, int], ...]
    announced: str | None
    kept: Kept | None


def end_path(outbox: Path) -> Path:
    """Returns the path of the end file of an outbox, such as `outbox.end` of `outbox.db`."""
    return outbox.with_suffix(".end") if outbox.suffix != ".end" else Path(f"{outbox}.end")


class EndFile:
    """The open and locked end file of an outbox.

    Attributes:
        margin: Count of numbers that are reserved with one fsync.
        known: What the file said when it was opened; None if it said nothing.
    """

    def __init__(self, outbox: Path, margin: int = 1000) -> None:
        """Opens, locks and reads the file; creates it if it does not exist.

        Raises:
            OutboxInUse: Another process runs on this outbox.
        """
        self.margin = margin
        self.known: Known | None = None
        self._outbox = outbox
        self._path = end_path(outbox)
        self._fd: int | None = None
        self._read_only = False
        self._opened_s = 0.0
        self._failing = False
        self._stream_id: str | None = None
        self._reserved = 0
        self._older: list[tuple[str, int]] = []
        self._last: StreamEnd | None = None
        self._carried: Kept | None = None
        self._open()
        self.known = self._read()
        if self.known is not None:
            self._older = list(self.known.ends)
            self._last, self._carried = self.known.end, self.known.kept

    def reserve(self, end: StreamEnd, oldest_stream: Callable[[], str | None]) -> None:
        """Reserves numbers before a commit, if the last reservation does not suffice.

        Args:
            end: The stream after the commit.
            oldest_stream: Returns the stream of the oldest waiting block; None if none waits.
        """
        new = end.stream_id != self._stream_id
        if not new and end.last <= self._reserved:
            return
        self._reserved = end.last + self.margin
        if new:
            self._stream_id = end.stream_id
            self._write_end(self._carried, durable=False)
        else:
            self._forget_before(oldest_stream())
        self._write_reserved()

    def trust(self, end: StreamEnd) -> None:
        """Takes over the end that an undamaged outbox has; it is exact after a power cut too."""
        self._last = end
        self._older = [one for one in self._older if one[0] != end.stream_id]
        self._older.append((end.stream_id, end.last))

    def note(self, end: StreamEnd, kept: Kept | None = None) -> None:
        """Writes the stream's end after a commit.

        Args:
            end: The stream after the commit.
            kept: Readings that were dropped and are not reported yet; None if there are none.
        """
        self._last, self._carried = end, None
        self._write_end(kept, durable=end.clean)

    def note_kept(self, kept: Kept) -> None:
        """Writes how many records wait in memory, after a failed commit."""
        before = self._carried
        if before is not None:
            from_at = before.from_at if before.from_at is not None else kept.from_at
            kept = Kept(before.records + kept.records, from_at, kept.to_at)
        self._write_end(kept, durable=True)

    def close(self) -> None:
        """Closes the file, which releases the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _forget_before(self, oldest: str | None) -> None:
        """Removes older streams without waiting blocks; blocks wait in the order of streams."""
        names = [name for name, _ in self._older]
        if oldest in names:
            self._older = self._older[names.index(oldest) :]
        elif oldest is None or oldest == self._stream_id:
            self._older = []

    def _write_end(self, kept: Kept | None, *, durable: bool) -> None:
        end = self._last
        table: dict[str, Any] = {"boot": _boot_id(), "pid": os.getpid()}
        if end is not None:
            table |= {"stream": end.stream_id, "last": end.last, "at": end.committed_at}
            table |= {"tail_ms": end.tail_ms, "clean": bool(end.clean)}
        if kept is not None:
            table["kept"] = [kept.records, kept.from_at, kept.to_at]
        self._write(0, table, durable=durable)

    def _write_reserved(self) -> None:
        older = [one for one in self._older if one[0] != self._stream_id][-_MOST_STREAMS:]
        table = {"stream": self._stream_id, "reserved": self._reserved, "older": older}
        self._write(_SLOT, table, durable=True)

    def _write(self, offset: int, table: dict[str, Any], *, durable: bool) -> None:
        try:
            if self._fd is None or self._read_only or os.fstat(self._fd).st_nlink == 0:
                self._open_again()
            if self._fd is None or self._read_only:
                return
            os.pwrite(self._fd, _line(table), offset)
            if durable:
                os.fdatasync(self._fd)
        except OSError as error:
            self._complain(error)
        else:
            self._failing = False

    def _open_again(self) -> None:
        """Creates the file again, for example after it was deleted."""
        refused = self._fd is None or self._read_only
        if refused and time.monotonic() - self._opened_s < _AGAIN_S:
            return
        self.close()
        try:
            self._open()
        except OutboxInUse as error:
            log.error("%s", error)
            return
        if self._stream_id is not None and self._fd is not None and not self._read_only:
            self._write_reserved()

    def _open(self) -> None:
        self._opened_s = time.monotonic()
        fd = self._descriptor()
        if fd is None:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            table = _table(os.pread(fd, _SLOT, 0)) or {}
            os.close(fd)
            raise OutboxInUse(
                f"{self._outbox}: another dewline-gateway (process {table.get('pid', 'unknown')}) "
                "runs on this outbox. Stop it, or set another [outbox] path"
            ) from error
        self._fd = fd
        if not self._read_only:
            self._fill()

    def _descriptor(self) -> int | None:
        self._read_only = False
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._complain(error)
        self._read_only = True
        try:  # on a read-only disk it still says what was committed, and it locks
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None

    def _fill(self) -> None:
        assert self._fd is not None
        try:
            missing = _SIZE - os.fstat(self._fd).st_size
            if missing > 0:  # real bytes: a hole would take blocks of a full disk
                os.pwrite(self._fd, bytes(missing), _SIZE - missing)
                os.fsync(self._fd)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._failing:
            log.error(
                "outbox: %s cannot be written: %s. If the outbox is lost now, the loss is not "
                "reported completely",
                self._path,
                error.strerror,
            )
        self._failing = True

    def _read(self) -> Known | None:
        if self._fd is None:
            return None
        try:
            raw = os.pread(self._fd, _SIZE, 0)
        except OSError as error:
            self._complain(error)
            return None
        newest, reserved = _table(raw[:_SLOT]), _table(raw[_SLOT:])
        for table, slot in ((newest, raw[:_SLOT]), (reserved, raw[_SLOT:])):
            if table is None and slot.strip(b"\0"):
                log.error("outbox: a part of %s is damaged and not used", self._path)
        return _known(newest or {}, reserved or {})


def _known(newest: dict[str, Any], reserved: dict[str, Any]) -> Known | None:
    if not newest and not reserved:
        return None
    end = _end(newest) if "stream" in newest else None
    ends: dict[str, int] = dict(reserved.get("older", ()))
    if end is not None:  # to the end of the order
        ends[end.stream_id] = max(ends.pop(end.stream_id, 0), end.last)
    stale = newest.get("boot") != _boot_id() and not (end is not None and end.clean)
    announced = reserved.get("stream")
    if announced is not None and stale:
        ends[announced] = max(ends.pop(announced, 0), reserved["reserved"])
    kept = Kept(*newest["kept"]) if "kept" in newest else None
    return Known(end, tuple(ends.items()), announced, kept)


def _end(table: dict[str, Any]) -> StreamEnd:
    return StreamEnd(
        table["stream"], table["last"], table["at"], table["tail_ms"], clean=table["clean"]
    )


def _line(table: dict[str, Any]) -> bytes:
    text = json.dumps(table, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _table(slot: bytes) -> dict[str, Any] | None:
    line = slot.partition(b"\n")[0]
    text = line[9:]
    if line[:8] != b"%08x" % zlib.crc32(text) or not text:
        return None
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
