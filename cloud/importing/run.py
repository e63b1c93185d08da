"""Imports files into the lake, one after the other; a killed run continues where it ended.

Rows -> pieces of series -> blocks -> landing files of node `import`, lane backfill. The landing
files of a file have consecutive numbers in one sequence, and depend only on the file, the mapping
and the begin in `cloud.importing.state`. So a run that finds the first k of them in the lake makes
the same blocks again, leaves out the first k files, and writes the others.

Files of one run share a sequence, because every cursor names every sequence. Only the last file of
a sequence can be incomplete: a run adds files only to the sequence that it has begun itself, and
begins another one after a file that failed.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import HistoryError, LakeExists
from cloud.importing.blocks import BlockMaker, DeviceBlock
from cloud.importing.formats import rows_of
from cloud.importing.mapping import Mapping
from cloud.importing.refusals import Refusals, Refused
from cloud.importing.source import Source, source_at
from cloud.importing.state import Begin, Done, ImportKey, ImportState, Span
from cloud.importing.values import ValueReader
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.landing import LandingWriter, landed_paths, path_of, start_id
from cloud.lake.positions import FileSequence, LandedBlock, Position
from cloud.lake.store import Store
from contract.topics import Lane, up_topic
from contract.wire import encode

__all__ = ["NODE", "Importer", "Outcome", "Watch"]

NODE = "import"

FILE_READINGS = 20_000  # readers of the lake hold a number of files in memory

Watch = Callable[[int, int], None]  # bytes of the file that are read, readings so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result for one file.

    Attributes:
        file: Path of the file.
        known: Whether the file was imported before, so that nothing was written.
        resumed_files: Landing files that an interrupted run had written.
        readings: Readings of the file in the lake.
        blocks: Blocks of the file in the lake.
        files: Landing files of the file.
        missing: Values that the file does not have.
        refused: What was refused, by reason.
        spans: First and last instant of each signal.
    """

    file: str
    known: bool = False
    resumed_files: int = 0
    readings: int = 0
    blocks: int = 0
    files: int = 0
    missing: int = 0
    refused: tuple[Refused, ...] = ()
    spans: tuple[Span, ...] = ()


class Importer:
    """Imports the files of one run.

    Args:
        store: The lake's store.
        mapping: The mapping of all files.
        now_ms: Current time, ms since 1970 UTC.
        again: Whether to import content that was imported by another mapping.
        file_readings: Readings in one landing file. Every run of a file must use the same number.
    """

    def __init__(
        self,
        store: Store,
        mapping: Mapping,
        now_ms: int,
        *,
        again: bool = False,
        file_readings: int = FILE_READINGS,
    ) -> None:
        self._store = store
        self._mapping = mapping
        self._now_ms = now_ms
        self._again = again
        self._file_readings = file_readings
        self._own: FileSequence | None = None

    def run(self, path: Path, watch: Watch) -> Outcome:
        """Imports one file.

        Args:
            path: The file.
            watch: Called after each part of the file.

        Raises:
            HistoryError: The file cannot be imported; what was written stays, and counts.
            LakeError: The store failed; run again to continue.
        """
        source = source_at(path)
        key = ImportKey(source.sha256, self._mapping.sha256)
        state = ImportState(self._store, key)
        done = state.done()
        if done is not None:
            return Outcome(
                file=str(path),
                known=True,
                readings=done.readings,
                blocks=done.blocks,
                files=done.files,
                spans=done.spans,
            )
        begin = state.begun() or self._begin(state, source)
        own, self._own = self._own, None  # until the file is complete
        refusals = Refusals()
        outcome = self._write(source, key, begin, refusals, watch)
        self._require_same(source)
        state.finish(_done(outcome, begin))
        self._own = own
        return outcome

    def _begin(self, state: ImportState, source: Source) -> Begin:
        self._require_new(state, source)
        self._own = self._own or _sequence(start_id(self._now_ms))
        begin = Begin(
            file=source.path.name,
            received_at=self._now_ms,
            start_id=self._own.start_id,
            first_n=_last(self._store, self._own) + 1,
        )
        return state.begin(begin)

    def _require_new(self, state: ImportState, source: Source) -> None:
        others = () if self._again else state.other_mappings()
        if others:
            raise HistoryError(
                f"{source.path}: the same content was imported before, as {others[0]}, with "
                "another mapping. With --again its readings are stored a second time"
            )

    def _require_same(self, source: Source) -> None:
        if source_at(source.path).sha256 != source.sha256:
            raise HistoryError(
                f"{source.path} has changed while it was imported. Its readings up to now are "
                "stored. Import a copy that does not change"
            )

    def _write(
        self, source: Source, key: ImportKey, begin: Begin, refusals: Refusals, watch: Watch
    ) -> Outcome:
        reader = ValueReader(self._mapping, begin.received_at, refusals)
        maker = BlockMaker(key.digest, reader.grades, refusals)
        landing = _Landing(self._store, begin, self._file_readings)
        for rows in rows_of(source, self._mapping):
            for piece in reader.read(rows):
                maker.add(piece)
            landing.add(maker.full())
            watch(rows.read_bytes, maker.readings_total)
        landing.add(maker.rest())
        landing.end()
        watch(source.size_bytes, maker.readings_total)
        return Outcome(
            file=str(source.path),
            resumed_files=landing.resumed,
            readings=maker.readings_total,
            blocks=landing.blocks_total,
            files=landing.files_total,
            missing=reader.missing_total,
            refused=refusals.all(),
            spans=tuple(_spans(maker)),
        )


def _sequence(start: str) -> FileSequence:
    return FileSequence(NODE, start, Lane.BACKFILL)


def _last(store: Store, sequence: FileSequence) -> int:
    """Returns the number of a sequence's last committed file; 0 if there is none."""
    landed = landed_paths(store).get(sequence, {})  # before the cursor, as in `cloud.lake.reader`
    return max(CursorStore(store, RAW_CURSOR).load().passed.get(sequence, 0), *landed, 0)


class _Landing:
    """Writes blocks as landing files, and leaves out those that exist already."""

    def __init__(self, store: Store, begin: Begin, file_readings: int) -> None:
        self._store = store
        self._file_readings = file_readings
        self._begin = begin
        self._sequence = _sequence(begin.start_id)
        self._existing = _last(store, self._sequence)
        self._writer = LandingWriter(store, NODE, begin.start_id, {Lane.BACKFILL: self._existing})
        self._blocks: list[DeviceBlock] = []
        self._readings = 0
        self.blocks_total = 0
        self.files_total = 0
        self.resumed = 0

    def add(self, blocks: Iterator[DeviceBlock]) -> None:
        for made in blocks:
            self._blocks.append(made)
            self._readings += made.block.records_total
            if self._readings >= self._file_readings:
                self._commit()

    def end(self) -> None:
        if self._blocks:
            self._commit()

    def _commit(self) -> None:
        n = self._begin.first_n + self.files_total
        if n < self._existing:
            self.resumed += 1
        else:
            self._create(n, [self._landed(made) for made in self._blocks])
        self.files_total += 1
        self.blocks_total += len(self._blocks)
        self._blocks, self._readings = [], 0

    def _create(self, n: int, blocks: list[LandedBlock]) -> None:
        if n > self._existing:
            self._writer.commit(Lane.BACKFILL, blocks)
            return
        # The run before this one may have been killed between the file's name and its fsync.
        # Creating it again fails, but makes the name durable.
        self.resumed += 1
        path = path_of(Position(self._sequence, n), blocks[0].received_at)
        with contextlib.suppress(LakeExists):
            if path in self._store.list(path.rpartition("/")[0] + "/"):
                self._store.create(path, b"")

    def _landed(self, made: DeviceBlock) -> LandedBlock:
        block = made.block
        return LandedBlock(
            received_at=self._begin.received_at,
            topic=up_topic(made.device_id, Lane.BACKFILL),
            device_id=made.device_id,
            stream_id=block.stream_id,
            first=block.first,
            last=block.last,
            payload=encode(block),
        )


def _spans(maker: BlockMaker) -> Iterator[Span]:
    for key in sorted(maker.spans, key=lambda k: k.order):
        first_at, last_at = maker.spans[key]
        yield Span(device=key.device_id, signal=str(key.signal), first_at=first_at, last_at=last_at)


def _done(outcome: Outcome, begin: Begin) -> Done:
    return Done(
        file=begin.file,
        received_at=begin.received_at,
        readings=outcome.readings,
        blocks=outcome.blocks,
        files=outcome.files,
        refused=sum(r.total for r in outcome.refused),
        spans=outcome.spans,
    )
