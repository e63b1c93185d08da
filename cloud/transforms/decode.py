"""Decodes payloads of table `raw` to rows of all kinds in one pass.

Payloads that cannot be decoded, and records that are not plausible, are left out: the quarantine
projection keeps and counts them.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from cloud.lake.positions import FileSequence, Position
from cloud.plausible import set_aside
from cloud.transforms.arrow_blocks import Arrived, event_rows, reading_columns, source_of
from cloud.transforms.schema import DECODED, require
from contract.errors import ContractError
from contract.limits import NEW, STORED, Limits
from contract.topics import Lane
from contract.wire import decode as decode_payload

__all__ = ["arrived_block", "decode"]

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
        position = Position(FileSequence(node, start_id, Lane(lane)), n)
        limits = NEW if stream_id is None else STORED
        source = source_of(position, row)
        block = arrived_block(payload, limits, device_id, received_us // 1000, source)
        if block is not None:
            yield block


def arrived_block(
    payload: bytes, limits: Limits, device_id: str, received_at: int, source: str
) -> Arrived | None:
    """Return a payload's block with the records to leave out; None if it cannot be decoded.

    Args:
        payload: The block's bytes.
        limits: Limits that the block must keep.
        device_id: Device id from the topic.
        received_at: Time when ingest received the block, ms since 1970 UTC.
        source: Place in the lake, from `source_of`.
    """
    try:
        block = decode_payload(payload, limits)
    except ContractError:
        return None  # the block is in quarantine
    return Arrived(
        device_id=device_id,
        received_at=received_at,
        source=source,
        block=block,
        left_out=set_aside(block, received_at).seqs,
    )
