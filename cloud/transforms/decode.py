"""Decodes payloads of table `raw` to rows of all kinds in one pass.

Payloads that cannot be decoded are skipped: the quarantine projection keeps and counts them.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from cloud.lake.positions import FileSequence, Position
from cloud.transforms.arrow_blocks import Arrived, event_rows, reading_columns, source_of
from cloud.transforms.schema import DECODED, require
from contract.blocks import Block
from contract.errors import ContractError
from contract.keys import event_day
from contract.limits import NEW, STORED, Limits
from contract.topics import Lane
from contract.wire import decode as decode_payload

__all__ = ["block_of", "decode"]

_PLACE = ("node", "start_id", "lane", "n", "row")
_WANTED = ("device_id", "received_at", "payload", "stream_id", *_PLACE)
_BLOCKS_AT_ONCE = 512  # about 40,000 readings in the worker's memory


def decode(raw: DataFrame) -> DataFrame:
    """Return all records in the payloads of `raw`, with the columns of `DECODED`."""
    require(raw, _WANTED)
    return raw.select(*_WANTED).mapInArrow(_decode, DECODED)


def _decode(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    schema = to_arrow_schema(DECODED, timezone="UTC")
    for batch in batches:
        for start in range(0, batch.num_rows, _BLOCKS_AT_ONCE):
            arrived = list(_arrived(batch.slice(start, _BLOCKS_AT_ONCE)))
            yield reading_columns(arrived, schema)
            yield event_rows(arrived, schema)


def _arrived(batch: pa.RecordBatch) -> Iterator[Arrived]:
    columns = [batch.column("received_at").cast(pa.int64())]
    columns += [batch.column(name) for name in ("device_id", "payload", "stream_id", *_PLACE)]
    for received_us, device_id, payload, stream_id, node, start_id, lane, n, row in zip(
        *(column.to_pylist() for column in columns), strict=True
    ):
        block = block_of(payload, NEW if stream_id is None else STORED)
        if block is not None:
            position = Position(FileSequence(node, start_id, Lane(lane)), n)
            yield Arrived(
                device_id=device_id,
                received_at=received_us // 1000,
                source=source_of(position, row),
                block=block,
            )


def block_of(payload: bytes, limits: Limits) -> Block | None:
    """Return a payload's block; None if it cannot be decoded or has times that cannot be stored."""
    try:
        block = decode_payload(payload, limits)
        event_day(block.observed_at(_last_offset(block)))
    except (ContractError, ValueError, OverflowError):
        return None  # ValueError, OverflowError: a time after the year 9999 cannot be stored
    return block


def _last_offset(block: Block) -> int:
    sensors = (s.offsets_ms[-1] for s in block.sensors)
    return max((*sensors, *(e.offset_ms for e in block.events)))
