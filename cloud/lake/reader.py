"""Reads the lake for projections: each sequence in order, from the landing or from table `raw`.

The fold may delete landing files at any moment, but only after cursor `cursors/raw` covers them. A
reader that first lists the landing and then loads that cursor finds every file in one of the two.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping

from cloud.errors import LakeMissing
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.positions import Cursor, FileSequence, LandedFile, Position
from cloud.lake.raw import RawTable
from cloud.lake.raw_rows import name_of
from cloud.lake.store import Store

__all__ = ["LakeReader"]

_log = logging.getLogger(__name__)


class LakeReader:
    """Reads committed files beyond a cursor; one thread at a time.

    Attributes:
        holes: Missing positions before existing ones. Their sequences are read only up to there,
            until the operator restores the file; other sequences continue.
    """

    def __init__(self, store: Store, raw: RawTable) -> None:
        self._store = store
        self._raw = raw
        self.holes: set[Position] = set()

    def after(self, cursor: Cursor) -> Iterator[LandedFile]:
        """Reads committed files beyond the cursor, each sequence in order.

        Raises:
            LakeError: The store or the table cannot be read.
        """
        paths = landed_paths(self._store)  # before the cursor: see the module's docstring
        folded = CursorStore(self._store, RAW_CURSOR).load()
        for sequence in sorted({*paths, *folded.passed}):
            last = folded.passed.get(sequence, 0)
            begin = cursor.passed.get(sequence, 0) + 1
            yield from self._sequence(sequence, begin, paths.get(sequence, {}), last)

    def _sequence(
        self, sequence: FileSequence, n: int, paths: Mapping[int, str], folded: int
    ) -> Iterator[LandedFile]:
        end = max(folded, *paths, 0)
        while n <= end:
            files = self._landed(n, paths)
            if files is None:  # the fold has moved it, and probably others, to the table
                paths = landed_paths(self._store).get(sequence, {})
                until = next((m for m in range(n + 1, end + 1) if m in paths), end + 1)
                files = self._raw.read_range(sequence, n, until - 1)
            begin = n
            for file in files:
                if file.position.n != n:
                    break
                self.holes.discard(file.position)
                yield file
                n += 1
            if n == begin:
                self._stop(Position(sequence, n))
                return

    def _landed(self, n: int, paths: Mapping[int, str]) -> Iterable[LandedFile] | None:
        try:
            return (read_file(self._store, paths[n]),) if n in paths else None
        except LakeMissing:
            return None

    def _stop(self, position: Position) -> None:
        sequence, n = position.sequence, position.n
        # A listing is not a snapshot: the next pass sees a file that was added during the listing.
        if n in landed_paths(self._store).get(sequence, {}) or any(
            self._raw.read_range(sequence, n, n)
        ):
            return
        if position not in self.holes:
            self.holes.add(position)
            _log.error("the lake lacks file %d of %s; reading stops there", n, name_of(sequence))
