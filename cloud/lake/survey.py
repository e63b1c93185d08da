"""Counts and compares the files in the lake, for `lake show` and `lake verify`. Read-only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloud.errors import LakeMissing
from cloud.lake.cursors import RAW_CURSOR, all_cursors
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.positions import Cursor, LandedFile
from cloud.lake.raw import RawTable
from cloud.lake.raw_rows import name_of
from cloud.lake.store import Store

__all__ = ["ProjectionLag", "SequenceShow", "Show", "show", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceShow:
    """Counts of one sequence: files in the landing, last folded number, last number of all."""

    sequence: str
    landed_files: int
    folded: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionLag:
    """Number of committed files that a projection has not applied yet."""

    projection: str
    behind_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Summary of the lake."""

    sequences: tuple[SequenceShow, ...]
    projections: tuple[ProjectionLag, ...]


def show(store: Store) -> Show:
    """Counts landed, folded and projected files from listings and cursors, without reading them."""
    paths = landed_paths(store)
    cursors = all_cursors(store)
    folded = cursors.get(RAW_CURSOR, Cursor()).passed
    last = {s: max(folded.get(s, 0), *paths.get(s, {}), 0) for s in sorted({*paths, *folded})}
    return Show(
        sequences=tuple(
            SequenceShow(
                sequence=name_of(s),
                landed_files=len(paths.get(s, {})),
                folded=folded.get(s, 0),
                last=n,
            )
            for s, n in last.items()
        ),
        projections=tuple(
            ProjectionLag(
                projection=name,
                behind_files=sum(max(0, n - cursor.passed.get(s, 0)) for s, n in last.items()),
            )
            for name, cursor in sorted(cursors.items())
        ),
    )


def verify(store: Store, raw: RawTable) -> Iterator[str]:
    """Returns every fault of the lake as a sentence; nothing if there is none.

    Reads every file once. The fold must not run meanwhile.
    """
    paths = landed_paths(store)
    folded = all_cursors(store).get(RAW_CURSOR, Cursor()).passed
    in_table = raw.positions().passed
    for sequence in sorted({*paths, *folded, *in_table}):
        name = name_of(sequence)
        record = raw.folded(sequence)
        if not folded.get(sequence, 0) <= record == in_table.get(sequence, 0):
            yield (
                f"{name}: the last folded file is {folded.get(sequence, 0)} in the cursor, "
                f"{record} in the table's record, {in_table.get(sequence, 0)} in the table's rows"
            )
        rows = raw.read_range(sequence, 1, in_table.get(sequence, 0))
        yield from _compare(store, rows, name, paths.get(sequence, {}))


def _compare(
    store: Store, rows: Iterator[LandedFile], name: str, paths: Mapping[int, str]
) -> Iterator[str]:
    seen: set[int] = set()
    for file in rows:
        n = file.position.n
        seen.add(n)
        if n in paths:
            try:
                if read_file(store, paths[n]).blocks != file.blocks:
                    yield f"{name}: file {n} differs between landing and table"
            except LakeMissing:
                yield f"{name}: file {n} vanished from the landing: a fold is running"
    for n in sorted(paths.keys() - seen):
        read_file(store, paths[n])  # raises if it is damaged
        seen.add(n)
    for n in range(1, max(seen, default=0) + 1):
        if n not in seen:
            yield f"{name}: file {n} is missing"
