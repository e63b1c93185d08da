"""Converts landed files to Arrow rows of table `raw`, and back. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from cloud.errors import LakeError
from cloud.lake.positions import FileSequence, LandedBlock, LandedFile, Position

__all__ = ["BLOCK_COLUMNS", "RAW_SCHEMA", "landed_files", "name_of", "rows_of", "windows"]

RAW_SCHEMA = pa.schema(
    [
        pa.field("received_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("stream_id", pa.string()),
        pa.field("first_seq", pa.int64()),
        pa.field("last_seq", pa.int64()),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("start_id", pa.string(), nullable=False),
        pa.field("lane", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("arrival_day", pa.date32(), nullable=False),
    ]
)
BLOCK_COLUMNS = RAW_SCHEMA.names[:7]


def name_of(sequence: FileSequence) -> str:
    """Returns the name of a sequence, for messages and as application id of its transactions."""
    return f"{sequence.node}/{sequence.start_id}/{sequence.lane}"


def rows_of(files: Sequence[LandedFile]) -> pa.Table:
    """Returns one row per block, in the schema of the table."""
    rows = [(f.position, row, block) for f in files for row, block in enumerate(f.blocks)]
    return pa.table(
        [
            pa.array([b.received_at * 1000 for _, _, b in rows], RAW_SCHEMA.field(0).type),
            [b.topic for _, _, b in rows],
            [b.device_id for _, _, b in rows],
            [b.stream_id for _, _, b in rows],
            [b.first for _, _, b in rows],
            [b.last for _, _, b in rows],
            [b.payload for _, _, b in rows],
            [p.sequence.node for p, _, _ in rows],
            [p.sequence.start_id for p, _, _ in rows],
            [p.sequence.lane.value for p, _, _ in rows],
            [p.n for p, _, _ in rows],
            [row for _, row, _ in rows],
            [_arrival_day(b) for _, _, b in rows],
        ],
        schema=RAW_SCHEMA,
    )


def _arrival_day(block: LandedBlock) -> date:
    return datetime.fromtimestamp(block.received_at // 1000, tz=UTC).date()


def windows(rows_total: Counter[int], limit: int) -> Iterator[tuple[int, int]]:
    """Splits numbers into spans, each with at most `limit` rows (or one number)."""
    low, held, previous = None, 0, 0
    for n in sorted(rows_total):
        if low is not None and held + rows_total[n] > limit:
            yield low, previous
            low, held = None, 0
        low = n if low is None else low
        held += rows_total[n]
        previous = n
    if low is not None:
        yield low, previous


def landed_files(sequence: FileSequence, rows: pa.Table) -> Iterator[LandedFile]:
    """Makes the files of one sequence from rows sorted by `n` and `row`.

    Raises:
        LakeError: The table has a file twice, or only in part.
    """
    received_at = rows.column("received_at").cast(pa.int64()).to_pylist()
    others = [rows.column(name).to_pylist() for name in ("n", "row", *BLOCK_COLUMNS[1:])]
    cells = zip(*others, received_at, strict=True)
    for n, group in itertools.groupby(cells, key=lambda c: c[0]):
        numbered = list(group)
        if [c[1] for c in numbered] != list(range(len(numbered))):
            raise LakeError(f"table raw has file {n} of {name_of(sequence)} twice, or only in part")
        yield LandedFile(Position(sequence, n), tuple(_block(c) for c in numbered))


def _block(cells: tuple[Any, ...]) -> LandedBlock:
    _, _, topic, device_id, stream_id, first, last, payload, received_us = cells
    return LandedBlock(
        received_at=received_us // 1000,
        topic=topic,
        device_id=device_id,
        stream_id=stream_id,
        first=first,
        last=last,
        payload=payload,
    )
