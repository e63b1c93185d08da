"""Opens the outbox at a start: locks it, checks it, salvages a damaged one, and finds the losses.

Measuring continues within seconds. A damaged file is never deleted, so that the operator can
recover its data. The numbers that were committed and are no longer in the outbox are reported as
lost in the first block of the new stream; until that block is committed, each start finds them
again.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.records import Loss
from edge.errors import OutboxAccess, OutboxCorrupt, OutboxError, OutboxFull
from edge.storage.end_file import EndFile, Known
from edge.storage.inspection import difference, end_in, problem_of
from edge.storage.late_outbox import LateOutbox
from edge.storage.losses import Left, missing
from edge.storage.outbox import Outbox
from edge.storage.salvage import Salvaged, salvage
from edge.storage.stream_end import StreamEnd

__all__ = ["Opened", "move_into_place", "new_file", "open_outbox", "rescue", "set_aside"]

log = logging.getLogger(__name__)

_ALL = 2**31


@dataclass(frozen=True, slots=True)
class Opened:
    """Holds an opened outbox and what its last stream left.

    Attributes:
        outbox: The sense loop's durable connection.
        end_file: Its end file, which also holds the lock.
        left: What the first block of the new stream reports.
    """

    outbox: Outbox
    end_file: EndFile
    left: Left

    def close(self) -> None:
        """Closes the connection, then releases the lock."""
        self.outbox.close()
        self.end_file.close()


def open_outbox(path: Path, suspect: OutboxCorrupt | None = None) -> Opened:
    """Returns the opened outbox; replaces a damaged file by a new one with its readable blocks.

    Args:
        path: The outbox.
        suspect: Damage that was met while the gateway was running; None if there was none.

    Raises:
        OutboxFull: The disk is full or refuses writes.
        OutboxAccess: The folder does not exist, or the file is not accessible.
        OutboxInUse: Another process runs on this outbox.
        OutboxNewer: A newer dewline wrote the file.
    """
    if not path.parent.is_dir():
        raise OutboxAccess(
            f"{path}: unable to open: the folder {path.parent} does not exist. Create it, or "
            "correct [outbox] path"
        )
    end_file = EndFile(path)
    try:
        return _opened_or_late(path, end_file, suspect)
    except OutboxError:
        end_file.close()
        raise


def _opened_or_late(path: Path, end_file: EndFile, suspect: OutboxCorrupt | None) -> Opened:
    try:
        _check_access(path)
        return _opened(path, end_file, suspect)
    except OutboxFull as error:
        log.error("the outbox cannot be opened, readings are kept in memory: %s", error)
    known = end_file.known
    previous = known.end if known is not None else None
    return Opened(LateOutbox(path, end_file), end_file, Left(previous, None))


def _check_access(path: Path) -> None:
    """Raises the error for a file that SQLite would open, and never write to."""
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        raise OutboxFull(f"{path}: the disk is read-only")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutboxAccess(f"{path}: this account cannot write the file. Change its owner")


def _opened(path: Path, end_file: EndFile, suspect: OutboxCorrupt | None) -> Opened:
    known = end_file.known
    if not path.exists() and new_file(path).exists():  # killed between two renames
        move_into_place(path)
    problem = str(suspect) if suspect else problem_of(path, known)
    claimed = None if problem is None else end_in(path)
    salvaged = None if problem is None else _replace(path, problem)
    try:
        outbox = Outbox(path, durable=True, end_file=end_file)
    except OutboxCorrupt as error:
        problem, salvaged = str(error), _replace(path, str(error))
        outbox = Outbox(path, durable=True, end_file=end_file)
    end = outbox.stream_end()
    problem = problem or difference(path, known, end)
    if problem is None:
        if end is not None:
            end_file.trust(end)
        return Opened(outbox, end_file, Left(end, end, (), known.kept if known else None))
    losses = tuple(missing(_ends(known, salvaged, end or claimed), outbox.spans(_ALL)))
    _log_losses(problem, losses)
    if known is None:
        return Opened(outbox, end_file, Left(end or claimed, end or claimed, losses))
    left = Left(_previous(end, claimed, known.end), known.end or end, losses, known.kept)
    return Opened(outbox, end_file, left)


def _previous(
    end: StreamEnd | None, claimed: StreamEnd | None, newest: StreamEnd | None
) -> StreamEnd | None:
    """Returns the predecessor that the new stream names.

    If the outbox was replaced by an older one, it is that one's stream: so the ledger sees a fork.
    """
    if claimed is not None and (newest is None or claimed.stream_id != newest.stream_id):
        return claimed
    return end or newest


def _ends(
    known: Known | None, salvaged: Salvaged | None, end: StreamEnd | None
) -> list[tuple[str, int]]:
    """Returns the last number of each stream that any source knows, oldest stream first."""
    ends: dict[str, int] = {}
    found = [] if salvaged is None else [(stream, b.last) for stream, b in salvaged.blocks]
    for stream, last in [*found, *(known.ends if known is not None else ())]:
        ends[stream] = max(last, ends.get(stream, 0))
    if end is not None and (known is None or end.stream_id in ends):
        ends[end.stream_id] = max(end.last, ends[end.stream_id])
    return list(ends.items())


def _log_losses(problem: str, losses: tuple[Loss, ...]) -> None:
    spans = [loss.lost for loss in losses if loss.lost is not None]
    shown = ", ".join(f"{span.stream_id} {span.first}-{span.last}" for span in spans[:5])
    log.error(
        "outbox: %s. %d spans of numbers are missing and are reported as lost, unless the cloud "
        "has them: %s%s",
        problem,
        len(spans),
        shown or "none",
        ", ..." if len(spans) > 5 else "",
    )


def _replace(path: Path, problem: str) -> Salvaged:
    """Writes the readable blocks to a new file, renames the damaged one, and moves the new one."""
    salvaged = salvage(path)
    new = new_file(path)
    _remove(new)
    fresh = Outbox(new, durable=True)
    try:
        fresh.restore(salvaged.blocks, salvaged.memory.items())
    finally:
        fresh.close()
    kept = set_aside(path)
    move_into_place(path)
    log.error(
        "outbox: %s is damaged: %s. It is renamed to %s; %d readable blocks are copied to a new "
        "outbox",
        path,
        problem,
        kept,
        len(salvaged.blocks),
    )
    return salvaged


def new_file(path: Path) -> Path:
    """Returns the name of an outbox that is complete, but not in its place yet."""
    return path.with_name(f"{path.name}.new")


def move_into_place(path: Path) -> None:
    """Renames the new file to the outbox, durably."""
    new_file(path).rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def rescue(opened: Opened, finish: Callable[[Outbox, Left | None], None]) -> None:
    """Commits what is in memory to an outbox in its place, after `OutboxMoved`.

    If the file was deleted or replaced, its copy is taken from the open file. If it could not be
    opened before, it is opened now.

    Args:
        opened: The outbox as it was opened.
        finish: Called with the outbox in its place and, if it was opened only now, with what the
            streams before left.

    Raises:
        OutboxError: The outbox cannot be written; its place is unchanged.
    """
    outbox = opened.outbox
    if isinstance(outbox, LateOutbox):
        late = _opened(outbox.path, opened.end_file, None)
        try:
            finish(late.outbox, late.left)
        finally:
            late.outbox.close()
        return
    path, new = outbox.path, new_file(outbox.path)
    _remove(new)
    outbox.copy_to(new)
    copy = Outbox(new, durable=True, end_file=opened.end_file)
    try:
        finish(copy, None)
    finally:
        copy.close()
    kept = set_aside(path, "replaced")
    move_into_place(path)
    found = f". The file found there is now {kept}" if kept.exists() else ""
    log.error("outbox: the open file was copied to %s, nothing is lost%s", path, found)


def set_aside(path: Path, word: str = "corrupt") -> Path:
    """Renames an outbox, with its WAL files; returns the new name, with date and time."""
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    kept, number = path.with_name(f"{path.name}.{word}.{stamp}"), 1
    while kept.exists() or Path(f"{kept}-wal").exists():
        number += 1
        kept = path.with_name(f"{path.name}.{word}.{stamp}-{number}")
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(kept.with_name(kept.name + suffix))
    return kept
