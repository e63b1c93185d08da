"""Converts decoded blocks to Arrow record batches, in Spark's Python workers but without Spark.

Readings stay in columns: there is one Python object for each series, not for each reading. Events
are converted by `cloud.columns.row`. A test compares the results of both ways with `row`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from cloud.columns import COLUMNS, COMMON, row
from cloud.lake.positions import Position
from contract.blocks import Block, SensorColumns, entries, kind_of
from contract.records import Kind

__all__ = ["Arrived", "event_rows", "reading_columns", "source_of"]

_DAY_MS = 86_400_000
_MS = pa.timestamp("ms", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A decoded block and the place of its payload in `raw`.

    Attributes:
        device_id: Device id from the topic.
        received_at: Time when ingest received the block, ms since 1970 UTC.
        source: Place in the lake, from `source_of`.
        block: The decoded payload.
        left_out: Numbers of the block's records that become no rows.
    """

    device_id: str
    received_at: int
    source: str
    block: Block
    left_out: frozenset[int] = frozenset()

    @property
    def shift_ms(self) -> int | None:
        """Number to add to an offset to get UTC, ms; None if the clock was not believable."""
        at = self.block.utc_at
        return None if at is None else at - self.block.offset_ms


def source_of(position: Position, row: int) -> str:
    """Return a block's place in the lake, as a text that sorts as (node, n, start, lane, row).

    The parts are separated by a space, which sorts before all characters of a node's name.
    """
    sequence = position.sequence
    return f"{sequence.node} {position.n:012d} {sequence.start_id} {sequence.lane} {row:06d}"


@dataclass(frozen=True, slots=True)
class _Run:
    """One series of one block: readings with consecutive numbers."""

    arrived: Arrived
    sensor: SensorColumns
    series: int
    first: int


def reading_columns(arrived: Sequence[Arrived], schema: pa.Schema) -> pa.RecordBatch:
    """Return all readings of the blocks, in the order of blocks and numbers."""
    runs = [run for a in arrived for run in _runs(a)]
    lengths = np.array([len(r.sensor.offsets_ms) for r in runs], np.int64)
    starts = np.cumsum(lengths) - lengths
    of_run = np.repeat(np.arange(len(runs)), lengths)
    spread = pa.array(of_run)
    columns = {
        name: pa.array(items, schema.field(name).type).take(spread)
        for name, items in _run_cells(runs).items()
    }
    firsts = np.array([r.first for r in runs], np.int64)
    columns["seq"] = pa.array(firsts[of_run] + np.arange(len(of_run)) - starts[of_run])
    columns |= _times(runs, of_run)
    columns |= _values(runs)
    columns |= _marks(runs, starts, len(of_run))
    columns["received_at"] = _instants([r.arrived.received_at for r in runs]).take(spread)
    kept = _kept(arrived, runs, of_run, columns["seq"])
    batch = _batch(columns, len(of_run), schema)
    return batch if kept is None else batch.filter(kept)


def _kept(
    arrived: Sequence[Arrived], runs: Sequence[_Run], of_run: Any, seqs: pa.Array
) -> pa.Array | None:
    """Return which rows stay; None if all do, as in almost every batch."""
    if not any(a.left_out for a in arrived):
        return None
    left_out = (runs[run].arrived.left_out for run in of_run.tolist())
    kept = [seq not in out for seq, out in zip(seqs.to_pylist(), left_out, strict=True)]
    return pa.array(kept, pa.bool_())


def _runs(arrived: Arrived) -> Iterator[_Run]:
    first = arrived.block.first
    for sensor in arrived.block.sensors:
        for series in range(len(sensor.series)):
            yield _Run(arrived, sensor, series, first)
            first += len(sensor.offsets_ms)


def _run_cells(runs: Sequence[_Run]) -> dict[str, list[Any]]:
    """Return the columns that have one value for each run."""
    return {
        "kind": [Kind.READING.value] * len(runs),
        "device_id": [r.arrived.device_id for r in runs],
        "stream_id": [r.arrived.block.stream_id for r in runs],
        "sensor_id": [r.sensor.sensor_id for r in runs],
        "quantity": [r.sensor.series[r.series].quantity.value for r in runs],
        "calibration": [r.sensor.calibration for r in runs],
        "statistic": [r.sensor.statistic.value if r.sensor.statistic else None for r in runs],
        "span_s": [r.sensor.span_s for r in runs],
        "source": [r.arrived.source for r in runs],
    }


def _times(runs: Sequence[_Run], of_run: Any) -> dict[str, pa.Array]:
    offsets = _joined([np.array(r.sensor.offsets_ms, np.int64) for r in runs], np.int64)
    shifts = [r.arrived.shift_ms for r in runs]
    unsynced = np.array([s is None for s in shifts], np.bool_)[of_run]
    observed = offsets + np.array([s or 0 for s in shifts], np.int64)[of_run]
    # 0 is 1970-01-01: contract.keys.UNSYNCED_DAY
    days = np.where(unsynced, 0, observed // _DAY_MS).astype(np.int32)
    return {
        "offset_ms": pa.array(offsets),
        "observed_at": pa.array(observed * 1000, pa.timestamp("us", "UTC"), mask=unsynced),
        "event_day": pa.array(days, pa.int32()).cast(pa.date32()),
    }


def _values(runs: Sequence[_Run]) -> dict[str, pa.Array]:
    # None becomes NaN, which is never a value. Scaled integers are below 2^53, so NumPy's division
    # gives the same floats as Python's.
    parts = [
        np.array(r.sensor.columns[r.series], np.float64) / 10 ** r.sensor.series[r.series].decimals
        for r in runs
    ]
    counts = [np.array(r.sensor.counts or (-1,) * len(r.sensor.offsets_ms), np.int64) for r in runs]
    values, count = _joined(parts, np.float64), _joined(counts, np.int64)
    return {
        "value": pa.array(values, mask=np.isnan(values)),
        "count": pa.array(count, mask=count < 0),
    }


def _marks(runs: Sequence[_Run], starts: Any, total: int) -> dict[str, pa.Array]:
    """Return the columns of quality and flags: `good` and none, except for the marked rows."""
    marked = {
        int(start) + mark.row: mark
        for run, start in zip(runs, starts, strict=True)
        for mark in run.sensor.marks
        if mark.series == run.series
    }
    quality = np.full(total, "good", dtype=object)
    lengths = np.zeros(total, np.int32)
    words: list[str] = []
    for place in sorted(marked):
        quality[place] = marked[place].quality.value
        lengths[place] = len(marked[place].flags)
        words += [flag.value for flag in marked[place].flags]
    ends = np.concatenate((np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)))
    flags = pa.ListArray.from_arrays(
        pa.array(ends), pa.array(words, pa.string()), mask=pa.array(lengths == 0)
    )
    return {"quality": pa.array(quality, pa.string()), "flags": flags}


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def event_rows(arrived: Sequence[Arrived], schema: pa.Schema) -> pa.RecordBatch:
    """Return all records of the blocks except readings, in the order of blocks and numbers.

    Column `fields` contains the kind's own columns as JSON; its instants are ms since 1970.
    """
    rows = [cells for a in arrived for cells in _event_cells(a)]
    names = ("kind", *(c.name for c in COMMON), "fields", "source")
    columns = {}
    for name, items in zip(names, zip(*rows, strict=True), strict=True) if rows else ():
        kind = schema.field(name).type
        columns[name] = _instants(items) if pa.types.is_timestamp(kind) else pa.array(items, kind)
    return _batch(columns, len(rows), schema)


def _event_cells(arrived: Arrived) -> Iterator[tuple[Any, ...]]:
    block = arrived.block
    first = block.last - len(block.events) + 1
    for entry in entries(replace(block, first=first, sensors=())):
        if entry.seq in arrived.left_out:
            continue
        kind = kind_of(entry.record)
        cells = row(arrived.device_id, block.stream_id, arrived.received_at, entry)
        names = (column.name for column in COLUMNS[kind][len(COMMON) :])
        own = dict(zip(names, cells[len(COMMON) :], strict=True))
        fields = json.dumps(own, separators=(",", ":"), allow_nan=False)
        yield (kind.value, *cells[: len(COMMON)], fields, arrived.source)


def _instants(items: Sequence[int | None]) -> pa.Array:
    return pa.array(items, _MS).cast(pa.timestamp("us", "UTC"))


def _batch(columns: dict[str, pa.Array], total: int, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        columns[field.name] if field.name in columns else pa.nulls(total, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
