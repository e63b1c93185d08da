"""Converts a projection's cursor to Spark's offset of a stream of files, and back.

A cursor holds the number of the last processed file of each sequence. An offset is the same as a
JSON object: `node/start/lane` to number. The module only computes; it stores nothing.
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
    """Return the cursor as an offset for Spark."""
    return {name_of(sequence): n for sequence, n in sorted(cursor.passed.items())}


def cursor_from(offset: Mapping[str, int]) -> Cursor:
    """Return the cursor of an offset; the inverse of `offset_of`.

    Raises:
        ProjectionError: The offset was not made by `offset_of`.
    """
    passed = {}
    for name, n in offset.items():
        try:
            node, start_id, lane = name.split("/")
            passed[FileSequence(node, start_id, Lane(lane))] = int(n)
        except ValueError as error:
            raise ProjectionError(
                f"{name!r}: {n!r} is not a valid offset; expected node/start/lane and a number"
            ) from error
    return Cursor(passed)


def covers(cursor: Cursor, other: Cursor) -> bool:
    """Return whether `cursor` has passed all files that `other` has passed."""
    return all(cursor.passed.get(sequence, 0) >= n for sequence, n in other.passed.items())


def text_of(cursor: Cursor) -> str:
    """Return the cursor as one line of JSON, for an option of the data source."""
    return json.dumps(offset_of(cursor))


def available(store: Store) -> Cursor:
    """Return the last readable file of each sequence, from listings and the fold's cursor.

    The fold moves landing files to table `raw`.

    Raises:
        LakeError: The store failed.
    """
    paths = landed_paths(store)  # before the cursor; cloud.lake.reader explains why
    folded = CursorStore(store, RAW_CURSOR).load()
    passed = {}
    for sequence in {*paths, *folded.passed}:
        n = folded.passed.get(sequence, 0)
        while n + 1 in paths.get(sequence, {}):
            n += 1
        passed[sequence] = n
    return Cursor(passed)


def capped(start: Cursor, end: Cursor, files: int) -> Cursor:
    """Return the end of a batch from `start` with at most `files` files, backfill last."""
    passed = dict(start.passed)
    for span in spans(start, end):
        taken = min(files, span.last - span.first + 1)
        if taken:
            passed[span.sequence] = span.first + taken - 1
        files -= taken
    return Cursor(passed)


def spans(start: Cursor, end: Cursor) -> Iterator[FileSpan]:
    """Yield the files beyond `start` up to `end`; lanes in the order alert, live, backfill."""
    for sequence in sorted(end.passed, key=lambda s: (_FIRST.index(s.lane), s.start_id, s.node)):
        first, last = start.passed.get(sequence, 0) + 1, end.passed[sequence]
        if first <= last:
            yield FileSpan(sequence, first, last)
