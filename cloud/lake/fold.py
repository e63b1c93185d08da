"""Folds the landing: appends landing files to table `raw`, then deletes those no longer needed.

A fold may be killed at any time, because of its order: append (one durable Delta transaction) ->
cursor `cursors/raw` -> delete. The next fold completes the rest. The table records which files it
has, so no file is appended twice.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cloud.errors import LakeError, LakeMissing
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.landing import HOUR_MS, hour_at, landed_paths, read_file
from cloud.lake.positions import Cursor, FileSequence, LandedFile, Position
from cloud.lake.raw import RawTable
from cloud.lake.store import Store

__all__ = ["FoldResult", "fold"]

BATCH_BLOCKS = 20_000
BATCH_BYTES = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """Result of one fold.

    Attributes:
        appended_files: Number of landing files that were appended to `raw`.
        appended_blocks: Number of blocks in these files.
        deleted_files: Number of landing files that were deleted.
        more: Whether the next fold can append further files at once.
    """

    appended_files: int
    appended_blocks: int
    deleted_files: int
    more: bool


def fold(
    store: Store, raw: RawTable, cursors: Iterable[Cursor], now_ms: int, grace_s: float
) -> FoldResult:
    """Appends one batch of limited size to `raw`, then deletes unneeded landing files.

    Args:
        store: The lake's store.
        raw: The table.
        cursors: Cursors of all registered projections; a file stays until all have passed it.
        now_ms: Current time for the files' ages, ms since 1970 UTC.
        grace_s: Minimum time that a file stays after its first block was received, seconds.

    Raises:
        LakeError: Store or table failed, or another fold is running; call again.
    """
    own = CursorStore(store, RAW_CURSOR)
    folded = own.load()
    paths = landed_paths(store)
    waiting = _beyond(folded, paths)
    batch, new = _append(store, raw, waiting)
    if batch:
        folded = folded.after(batch)
        own.save(folded)
    deletable = _covered(paths, (folded, *cursors))
    deleted = _delete(store, deletable, now_ms - int(grace_s * 1000))
    return FoldResult(
        appended_files=len(new),
        appended_blocks=sum(len(f.blocks) for f in new),
        deleted_files=deleted,
        more=len(batch) < len(waiting),
    )


def _beyond(folded: Cursor, paths: Mapping[FileSequence, Mapping[int, str]]) -> list[str]:
    """Returns the paths to append, each sequence in order and up to the first missing number."""
    found: list[str] = []
    for sequence in sorted(paths):
        first = folded.passed.get(sequence, 0) + 1
        numbers = itertools.takewhile(lambda n: n in paths[sequence], itertools.count(first))  # noqa: B023  # used up within this turn
        found += [paths[sequence][n] for n in numbers]
    return found


def _append(
    store: Store, raw: RawTable, paths: list[str]
) -> tuple[list[Position], tuple[LandedFile, ...]]:
    try:
        files = list(_bounded(read_file(store, path) for path in paths))
    except LakeMissing as error:
        raise LakeError(f"another fold is running: {error}") from error
    new = raw.append(files) if files else ()
    return [f.position for f in files], new


def _bounded(files: Iterable[LandedFile]) -> Iterator[LandedFile]:
    blocks = size_bytes = 0
    for file in files:
        yield file
        blocks += len(file.blocks)
        size_bytes += sum(len(b.payload) for b in file.blocks)
        if blocks >= BATCH_BLOCKS or size_bytes >= BATCH_BYTES:
            return


def _covered(
    paths: Mapping[FileSequence, Mapping[int, str]], cursors: tuple[Cursor, ...]
) -> Iterator[list[str]]:
    """Returns for each sequence the paths that every cursor has passed, in order."""
    for sequence, numbered in paths.items():
        last = min(c.passed.get(sequence, 0) for c in cursors)
        yield [path for n, path in sorted(numbered.items()) if n <= last]


def _delete(store: Store, sequences: Iterable[list[str]], before_ms: int) -> int:
    deleted = 0
    for paths in sequences:
        # Stop at the first file that is too young: the files after it are younger.
        for path in itertools.takewhile(lambda p: _is_older(store, p, before_ms), paths):
            store.delete(path)
            deleted += 1
    return deleted


def _is_older(store: Store, path: str, before_ms: int) -> bool:
    hour_ms = hour_at(path)
    if hour_ms + HOUR_MS <= before_ms or hour_ms >= before_ms:
        return hour_ms < before_ms
    try:
        return read_file(store, path).blocks[0].received_at < before_ms
    except LakeMissing:
        return False
