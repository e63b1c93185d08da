"""Provides the lake's files as a data source of Spark, for streams and for history.

    spark.readStream.format("dewline-lake").options(**stream_options(...))
    spark.read.format("dewline-lake").options(**span_options(...))

The rows are the readings and clock fixes of the files, with the columns of `DECODED`. Each file
adds one row with `source` only, so that files without readings are counted too. A file is read from
the landing folder or, after the fold has moved it, from table `raw`. Python workers plan and read.
The source never moves the cursor, the position of the last processed files: the scorer does.
"""

import json
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    InputPartition,
)
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxFiles,
    SupportsTriggerAvailableNow,
)
from pyspark.sql.types import StructType

from cloud.errors import LakeError, LakeMissing
from cloud.lake.cursors import CursorStore
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.positions import RAW_FOLDER, Cursor, LandedFile, Position
from cloud.lake.raw import RawTable
from cloud.lake.raw_rows import name_of
from cloud.lake.store import FolderStore
from cloud.scoring.offsets import FileSpan, Offset, available, capped, cursor_from, offset_of, spans
from cloud.scoring.offsets import text_of as _text
from cloud.transforms.arrow_blocks import Arrived, event_rows, reading_columns, source_of
from cloud.transforms.decode import arrived_block
from cloud.transforms.schema import DECODED, SOURCE
from contract.records import Kind

__all__ = ["LakeSource", "span_options", "stream_options"]

_FILES_AT_ONCE = 100  # most files in one Arrow batch


def stream_options(root: str, projection: str, files_per_batch: int, tasks: int) -> dict[str, str]:
    """Return the options of a stream that begins at a projection's cursor.

    Args:
        root: Folder of the lake.
        projection: Name of the projection.
        files_per_batch: Most files in one batch.
        tasks: Most tasks of one batch.
    """
    return {
        "root": root,
        "projection": projection,
        "files": str(files_per_batch),
        "tasks": str(tasks),
    }


def span_options(root: str, after: Cursor, until: Cursor, tasks: int) -> dict[str, str]:
    """Return the options of a read of all files beyond `after` up to `until`."""
    return {"root": root, "after": _text(after), "until": _text(until), "tasks": str(tasks)}


class LakeSource(DataSource):
    """Data source `dewline-lake`; see the module's docstring."""

    @classmethod
    def name(cls) -> str:
        """Return the name for Spark's `format`."""
        return "dewline-lake"

    def schema(self) -> StructType:
        """Return the columns of `DECODED`."""
        return DECODED

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return a reader of a span of files."""
        del schema
        return _SpanReader(self.options)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802  # Spark's name
        """Return a reader that follows the lake."""
        del schema
        return _Follower(self.options)


class _Files:
    """Plans and reads files of one lake."""

    def __init__(self, options: MutableMapping[str, str]) -> None:
        self.root = Path(options["root"])
        self.tasks = int(options["tasks"])

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.root)

    def parts(self, start: Cursor, end: Cursor) -> list[InputPartition]:
        """Return the files between two cursors, split into parts of about equal size."""
        wanted = list(spans(start, end))
        paths = landed_paths(self.store) if wanted else {}
        files = [
            (Position(span.sequence, n), paths.get(span.sequence, {}).get(n))
            for span in wanted
            for n in range(span.first, span.last + 1)
        ]
        each = -(-len(files) // self.tasks) or 1
        return [InputPartition(files[at : at + each]) for at in range(0, len(files), each)]

    def read(self, part: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one part."""
        files: list[LandedFile] = []
        for file in self._located(part.value):
            files.append(file)
            if len(files) == _FILES_AT_ONCE:
                yield from _rows(files)
                files = []
        yield from _rows(files)

    def _located(self, files: Sequence[tuple[Position, str | None]]) -> Iterator[LandedFile]:
        folded: list[Position] = []
        for position, path in files:
            file = None if path is None else self._landed(path)
            if file is None:
                folded.append(position)
            else:
                yield file
        yield from self._folded(folded)

    def _landed(self, path: str) -> LandedFile | None:
        try:
            return read_file(self.store, path)
        except LakeMissing:  # the fold has moved the file since the plan was made
            return None

    def _folded(self, positions: Iterable[Position]) -> Iterator[LandedFile]:
        raw = RawTable(self.root / RAW_FOLDER)
        for span in _joined(positions):
            n = span.first
            for file in raw.read_range(span.sequence, span.first, span.last):
                if file.position.n != n:
                    break
                n += 1
                yield file
            if n <= span.last:
                raise LakeError(
                    f"{name_of(span.sequence)}: file {n} is missing in the lake, both in the "
                    "landing folder and in table raw"
                )


def _joined(positions: Iterable[Position]) -> list[FileSpan]:
    found: list[FileSpan] = []
    for position in sorted(positions):
        last = found[-1] if found else None
        if last and last.sequence == position.sequence and last.last + 1 == position.n:
            found[-1] = FileSpan(last.sequence, last.first, position.n)
        else:
            found.append(FileSpan(position.sequence, position.n, position.n))
    return found


class _SpanReader(DataSourceReader):
    def __init__(self, options: MutableMapping[str, str]) -> None:
        self._files = _Files(options)
        self._after = cursor_from(json.loads(options["after"]))
        self._until = cursor_from(json.loads(options["until"]))

    def partitions(self) -> Sequence[InputPartition]:
        # Spark replaces an empty list by one partition with None, which `read` cannot handle.
        return self._files.parts(self._after, self._until) or [InputPartition([])]

    def read(self, partition: InputPartition) -> Iterator[Any]:
        return self._files.read(partition)


class _Follower(DataSourceStreamReader, SupportsTriggerAvailableNow):
    def __init__(self, options: MutableMapping[str, str]) -> None:
        self._files = _Files(options)
        self._projection = options["projection"]
        self._limit = int(options["files"])
        self._target: Cursor | None = None

    def initialOffset(self) -> Offset:  # noqa: N802  # Spark's name
        return offset_of(CursorStore(self._files.store, self._projection).load())

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802  # Spark's name
        return ReadMaxFiles(self._limit)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802  # Spark's name
        self._target = available(self._files.store)

    def latestOffset(self, start: Offset, limit: ReadLimit) -> Offset:  # noqa: N802  # Spark's name
        end = self._target or available(self._files.store)
        begin = cursor_from(start)
        every = isinstance(limit, ReadAllAvailable)
        most = sum(end.passed.values()) if every else getattr(limit, "max_files", self._limit)
        return offset_of(capped(begin, end, most))

    def partitions(self, start: Offset, end: Offset) -> Sequence[InputPartition]:
        return self._files.parts(cursor_from(start), cursor_from(end))

    def read(self, partition: InputPartition) -> Iterator[Any]:
        return self._files.read(partition)


def _rows(files: Sequence[LandedFile]) -> Iterator[pa.RecordBatch]:
    if not files:
        return
    schema = to_arrow_schema(DECODED, timezone="UTC")
    arrived = [a for file in files for a in _arrived(file)]
    yield reading_columns(arrived, schema)
    events = event_rows(arrived, schema)
    fixes = pa.compute.equal(events.column("kind"), Kind.CLOCK_FIX.value)
    yield events.filter(fixes)
    places = [source_of(file.position, 0) for file in files]
    marks = [pa.array(places) if f.name == SOURCE else pa.nulls(len(files), f.type) for f in schema]
    yield pa.RecordBatch.from_arrays(marks, schema=schema)


def _arrived(file: LandedFile) -> Iterator[Arrived]:
    for row, landed in enumerate(file.blocks):
        source = source_of(file.position, row)
        block = arrived_block(
            landed.payload, landed.limits, landed.device_id, landed.received_at, source
        )
        if block is not None:
            yield block
