"""How far a stream of the lake's files has come, as Spark's offsets: a projection's cursor as JSON.

An offset maps `node/start/lane` to the number of the last file. Owns no state and writes nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloud.errors import ProjectionError
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.landing import landed_paths
from cloud.lake.positions import Cursor, FileSequence
from cloud.lake.raw_rows import name_of
from cloud.lake.store import Store
from contract.topics import Lane

__all__ = [
    "FileSpan",
    "Offset",
    "available",
    "capped",
    "covers",
    "cursor_from",
    "offset_of",
    "spans",
    "text_of",
]

Offset = dict[str, int]
_FIRST = (Lane.ALERT, Lane.LIVE, Lane.BACKFILL)


@dataclass(frozen=True, slots=True)
class FileSpan:
    """Files `first` to `last` of a sequence, both included."""

    sequence: FileSequence
    first: int
    last: int


def offset_of(cursor: Cursor) -> Offset:
    """The cursor as Spark keeps it."""
    return {name_of(sequence): n for sequence, n in sorted(cursor.passed.items())}


def cursor_from(offset: Mapping[str, int]) -> Cursor:
    """What `offset_of` made.

    Raises:
        ProjectionError: It is no offset of ours.
    """
    passed = {}
    for name, n in offset.items():
        try:
            node, start_id, lane = name.split("/")
            passed[FileSequence(node, start_id, Lane(lane))] = int(n)
        except ValueError as error:
            raise ProjectionError(f"{name!r}: {n!r} is no offset of the lake") from error
    return Cursor(passed)


def covers(cursor: Cursor, other: Cursor) -> bool:
    """Whether everything that `other` has passed is behind `cursor` too."""
    return all(cursor.passed.get(sequence, 0) >= n for sequence, n in other.passed.items())


def text_of(cursor: Cursor) -> str:
    """The cursor as one line of JSON, for an option of the data source."""
    return json.dumps(offset_of(cursor))


def available(store: Store) -> Cursor:
    """How far each sequence can be read now, from listings and the fold's cursor alone.

    Raises:
        LakeError: The store failed.
    """
    paths = landed_paths(store)  # before the cursor, as cloud.lake.reader explains
    folded = CursorStore(store, RAW_CURSOR).load()
    passed = {}
    for sequence in {*paths, *folded.passed}:
        n = folded.passed.get(sequence, 0)
        while n + 1 in paths.get(sequence, {}):
            n += 1
        passed[sequence] = n
    return Cursor(passed)


def capped(start: Cursor, end: Cursor, files: int) -> Cursor:
    """The end of a batch that begins at `start`: at most so many files, live before backlog."""
    passed = dict(start.passed)
    for span in spans(start, end):
        taken = min(files, span.last - span.first + 1)
        if taken:
            passed[span.sequence] = span.first + taken - 1
        files -= taken
    return Cursor(passed)


def spans(start: Cursor, end: Cursor) -> Iterator[FileSpan]:
    """The files beyond `start` up to `end`, the lanes in the order in which they matter."""
    for sequence in sorted(end.passed, key=lambda s: (_FIRST.index(s.lane), s.start_id, s.node)):
        first, last = start.passed.get(sequence, 0) + 1, end.passed[sequence]
        if first <= last:
            yield FileSpan(sequence, first, last)
