"""Measures how far each cursor is behind the lake, and when the last block landed. Read-only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloud.errors import LakeMissing
from cloud.lake.cursors import RAW_CURSOR, all_cursors
from cloud.lake.landing import hour_at, landed_paths, read_file
from cloud.lake.positions import Cursor, FileSequence, Position
from cloud.lake.raw import RawTable
from cloud.lake.store import Store

__all__ = ["Lag", "lags", "last_landed_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Lag of one cursor.

    Attributes:
        projection: Name of the projection.
        behind_files: Number of committed files that the cursor has not passed.
        oldest_at: When the first block of the oldest of these files was received, ms since 1970
            UTC; None if there is no such file, or the next file of each sequence is missing.
    """

    projection: str
    behind_files: int
    oldest_at: int | None


def last_landed_at(store: Store) -> int | None:
    """Returns when the landing's newest block was received, ms since 1970 UTC; None if empty.

    Raises:
        LakeError: The store failed.
    """
    paths = landed_paths(store)
    last = [(hour_at(files[max(files)]), files[max(files)]) for files in paths.values()]
    newest_hour = max((hour for hour, _ in last), default=None)
    found = [_received(store, path, newest=True) for hour, path in last if hour == newest_hour]
    return max((at for at in found if at is not None), default=None)


def lags(store: Store, raw: RawTable) -> Iterator[Lag]:
    """Returns the lag of each cursor, sorted by name.

    Raises:
        LakeError: The store or the table failed.
    """
    paths, cursors = landed_paths(store), all_cursors(store)
    folded = cursors.get(RAW_CURSOR, Cursor()).passed
    last = {s: max(folded.get(s, 0), *paths.get(s, {}), 0) for s in {*paths, *folded}}
    times = _Times(store, raw, paths)
    for name, cursor in sorted(cursors.items()):
        behind = {s: n - cursor.passed.get(s, 0) for s, n in last.items()}
        waiting = [Position(s, last[s] - n + 1) for s, n in behind.items() if n > 0]
        found = [times.of(position) for position in waiting]
        yield Lag(
            projection=name,
            behind_files=sum(n for n in behind.values() if n > 0),
            oldest_at=min((at for at in found if at is not None), default=None),
        )


class _Times:
    """Times at which files were received; reads each file once, even if many cursors wait at it."""

    def __init__(
        self, store: Store, raw: RawTable, paths: Mapping[FileSequence, Mapping[int, str]]
    ) -> None:
        self._store, self._raw, self._paths = store, raw, paths
        self._known: dict[Position, int | None] = {}

    def of(self, position: Position) -> int | None:
        """Returns when the file's first block was received; None if the file is missing."""
        if position not in self._known:
            self._known[position] = self._read(position)
        return self._known[position]

    def _read(self, position: Position) -> int | None:
        path = self._paths.get(position.sequence, {}).get(position.n)
        at = None if path is None else _received(self._store, path, newest=False)
        if at is not None:
            return at
        files = self._raw.read_range(position.sequence, position.n, position.n)
        return min((b.received_at for file in files for b in file.blocks), default=None)


def _received(store: Store, path: str, *, newest: bool) -> int | None:
    try:
        times = [block.received_at for block in read_file(store, path).blocks]
    except LakeMissing:  # the fold has just deleted it
        return None
    return max(times) if newest else min(times)
