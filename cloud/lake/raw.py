"""Stores every landed block permanently in table `raw`, a Delta table in a folder.

The one file that imports deltalake. The table has one row per landed block, with the key
(node, start_id, lane, n, row). Each append is one Delta transaction. It also records, as an
application transaction of each sequence, the last `n` in the table. A file is folded if its number
is not above that record. If two folds append the same file, one of them fails.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import (
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError, TableNotFoundError

from cloud.errors import LakeError, LakeMissing
from cloud.lake.positions import Cursor, FileSequence, LandedFile
from cloud.lake.raw_rows import BLOCK_COLUMNS, RAW_SCHEMA, landed_files, name_of, rows_of, windows
from cloud.lake.store import FileSystem
from contract.topics import Lane

__all__ = ["RawTable"]

_ROWS_AT_ONCE = 2048  # blocks in memory during read_after, approximately
_SYNCED_AT_START = 100  # last commits that a new process syncs to disk


class RawTable:
    """The table in `folder`; the first append creates it."""

    def __init__(self, folder: Path, file_system: FileSystem | None = None) -> None:
        self._folder = folder
        self._files = file_system or FileSystem()
        self._synced: int | None = None  # version up to which all commits are known to be durable
        self._writer = WriterProperties(compression="ZSTD", max_row_group_size=_ROWS_AT_ONCE)

    def folded(self, sequence: FileSequence) -> int:
        """Returns the number of a sequence's last file in the table; 0 if there is none."""
        table = self._open()
        return 0 if table is None else _folded(table, sequence)

    def append(self, files: Sequence[LandedFile]) -> tuple[LandedFile, ...]:
        """Appends the files that the table lacks, in one transaction; durable on return.

        Returns:
            The appended files.

        Raises:
            LakeMissing: A file between the table's last one and one of `files` is missing.
            LakeError: The disk failed, or another process appended the same files.
        """
        table = self._open() or self._create()
        new = _unfolded(table, files)
        if new:
            self._commit(table, new)
        self._sync(table)
        return new

    def positions(self) -> Cursor:
        """Returns how far each sequence is folded, from a scan of the table's rows."""
        table = self._open()
        if table is None:
            return Cursor()
        columns = _read(_dataset(table), ["node", "start_id", "lane", "n"], None)
        last = columns.group_by(["node", "start_id", "lane"]).aggregate([("n", "max")]).to_pylist()
        return Cursor(
            {FileSequence(r["node"], r["start_id"], Lane(r["lane"])): r["n_max"] for r in last}
        )

    def read_after(self, cursor: Cursor) -> Iterator[LandedFile]:
        """Reads every file beyond the cursor, each sequence in the order of its numbers.

        Raises:
            LakeError: The table cannot be read, or has a file twice or only in part.
        """
        for sequence, last in sorted(self.positions().passed.items()):
            yield from self.read_range(sequence, cursor.passed.get(sequence, 0) + 1, last)

    def read_range(self, sequence: FileSequence, first: int, last: int) -> Iterator[LandedFile]:
        """Reads files `first` to `last` of a sequence, in order; skips missing numbers."""
        table = self._open()
        if table is None or first > last:
            return
        wanted = _of(sequence) & (pc.field("n") >= first) & (pc.field("n") <= last)
        dataset = _dataset(table)
        numbers = _read(dataset, ["n"], wanted).column(0).to_pylist()
        for low, high in windows(Counter(numbers), _ROWS_AT_ONCE):
            within = _of(sequence) & (pc.field("n") >= low) & (pc.field("n") <= high)
            rows = _read(dataset, ["n", "row", *BLOCK_COLUMNS], within)
            yield from landed_files(
                sequence, rows.sort_by([("n", "ascending"), ("row", "ascending")])
            )

    def compact(self) -> None:
        """Rewrites small files into large ones; does not disturb readers of older versions."""
        table = self._open()
        if table is None:
            return
        try:
            table.optimize.compact(writer_properties=self._writer)
        except (DeltaError, OSError) as error:
            raise LakeError(f"{self._folder}: compaction failed: {error}") from error
        self._sync(table)

    def _commit(self, table: DeltaTable, files: Sequence[LandedFile]) -> None:
        last = {f.position.sequence: f.position.n for f in files}
        transactions = [Transaction(name_of(sequence), n) for sequence, n in last.items()]
        try:
            write_deltalake(
                table,
                rows_of(files),
                mode="append",
                writer_properties=self._writer,
                commit_properties=CommitProperties(app_transactions=transactions),
            )
        except (DeltaError, OSError) as error:
            raise LakeError(f"{self._folder}: the append failed: {error}") from error

    def _open(self) -> DeltaTable | None:
        try:
            return DeltaTable(self._folder)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise LakeError(f"{self._folder}: the table cannot be opened: {error}") from error

    def _create(self) -> DeltaTable:
        try:
            return DeltaTable.create(
                self._folder,
                Schema.from_arrow(RAW_SCHEMA),
                mode="ignore",
                partition_by=["arrival_day"],
            )
        except (DeltaError, OSError) as error:
            raise LakeError(f"{self._folder}: the table cannot be created: {error}") from error

    def _sync(self, table: DeltaTable) -> None:
        """Makes every commit so far durable, data before log, because the library calls no fsync.

        This includes commits of other processes, and of processes that were killed before this.
        """
        if self._synced is None:
            self._synced = max(-1, table.version() - _SYNCED_AT_START)
        log = self._folder / "_delta_log"
        try:
            for version in range(self._synced + 1, table.version() + 1):
                self._sync_commit(log, version)
            for path in (log / "_last_checkpoint", log, self._folder, self._folder.parent):
                if path.exists():
                    self._files.sync_path(path)
        except OSError as error:
            raise LakeError(f"{self._folder}: a commit is not durable: {error}") from error
        self._synced = table.version()

    def _sync_commit(self, log: Path, version: int) -> None:
        entry = log / f"{version:020d}.json"
        if not entry.exists():  # the log was cleaned up; its checkpoint is days old
            return
        added = [self._folder / name for name in _added(entry)]
        for path in added:
            if path.exists():  # otherwise it was compacted and vacuumed since
                self._files.sync_path(path)
                self._files.sync_path(path.parent)
        self._files.sync_path(entry)
        for path in log.glob(f"{version:020d}.checkpoint*"):
            self._files.sync_path(path)


def _folded(table: DeltaTable, sequence: FileSequence) -> int:
    return table.transaction_version(name_of(sequence)) or 0


def _unfolded(table: DeltaTable, files: Sequence[LandedFile]) -> tuple[LandedFile, ...]:
    in_order = sorted(files, key=lambda f: f.position)
    new: list[LandedFile] = []
    for sequence, group in itertools.groupby(in_order, key=lambda f: f.position.sequence):
        expected = _folded(table, sequence) + 1
        for file in group:
            if file.position.n > expected:
                raise LakeMissing(
                    f"{name_of(sequence)}: file {expected} must be folded first, but is missing"
                )
            if file.position.n == expected:
                new.append(file)
                expected += 1
    return tuple(new)


def _of(sequence: FileSequence) -> Any:
    return (
        (pc.field("node") == sequence.node)
        & (pc.field("start_id") == sequence.start_id)
        & (pc.field("lane") == sequence.lane.value)
    )


def _dataset(table: DeltaTable) -> ds.Dataset:
    try:
        return table.to_pyarrow_dataset()
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise LakeError(f"{table.table_uri}: cannot be read: {error}") from error


def _read(dataset: ds.Dataset, columns: list[str], wanted: ds.Expression | None) -> pa.Table:
    try:
        return dataset.to_table(columns=columns, filter=wanted)
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise LakeError(f"table raw cannot be read: {error}") from error


def _added(entry: Path) -> list[str]:
    actions = [json.loads(line) for line in entry.read_text("utf-8").splitlines()]
    return [unquote(action["add"]["path"]) for action in actions if "add" in action]
