"""Makes search documents from blocks. Pure.

For speed, a reading's JSON is built from text that the whole series shares and from the numbers
that differ. Every other kind uses `cloud.columns.row`. A test checks that both ways agree.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from cloud.clock_fix import Fix
from cloud.columns import COLUMNS, row
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from cloud.search.templates import TIMESTAMP
from contract.blocks import Block, Entry, Mark, SensorColumns, entries, kind_of
from contract.keys import Key, event_day
from contract.records import Kind

__all__ = ["BlockContext", "documents", "entry_document"]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockContext:
    """Data that a block's documents share and that is not in the block.

    Attributes:
        device_id: Device in the topic.
        received_at: When ingest received the block, ms since 1970 UTC.
        fix: ClockFix that dates an unsynced block; None if its stream has none yet.
        left_out: Numbers of the block's records that become no documents.
    """

    device_id: str
    received_at: int
    fix: Fix | None = None
    left_out: frozenset[int] = frozenset()

    def date(self, offset_ms: int) -> int | None:
        """Returns the instant of an undated record by the fix, ms since 1970; None if unknown."""
        return None if self.fix is None else self.fix.observed_at(offset_ms, self.received_at)


def documents(origin: BlockContext, block: Block, names: IndexNames) -> Iterator[Document]:
    """Returns the block's records as documents, in the order of their numbers."""
    seq = block.first
    for sensor in block.sensors:
        yield from _readings(origin, block, sensor, seq, names)
        seq += sensor.readings_total
    for entry in entries(replace(block, first=seq, sensors=())):
        if entry.seq not in origin.left_out:
            yield entry_document(origin, block.stream_id, _dated(origin, entry), names)


def entry_document(
    origin: BlockContext, stream_id: str, entry: Entry, names: IndexNames
) -> Document:
    """Returns one record as a document, by its columns."""
    kind = kind_of(entry.record)
    cells = row(origin.device_id, stream_id, origin.received_at, entry)
    fields: dict[str, Any] = {
        column.name: cell for column, cell in zip(COLUMNS[kind], cells, strict=True)
    }
    day = fields["event_day"]
    fields["event_day"] = day.isoformat()
    fields[TIMESTAMP] = entry.observed_at
    present = {name: cell for name, cell in fields.items() if cell is not None}
    key = Key(origin.device_id, stream_id, entry.seq)
    return Document(names.index(kind, day), str(key), _json(present))


def _dated(origin: BlockContext, entry: Entry) -> Entry:
    if entry.observed_at is not None or origin.fix is None:
        return entry
    return replace(entry, observed_at=origin.date(entry.offset_ms))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _readings(
    origin: BlockContext, block: Block, sensor: SensorColumns, seq: int, names: IndexNames
) -> Iterator[Document]:
    key = f"{origin.device_id}:{block.stream_id}:"
    owner = _json({"device_id": origin.device_id, "stream_id": block.stream_id})[:-1]
    times = _times(origin, block, sensor, names)
    rows_total = len(sensor.offsets_ms)
    for number, series in enumerate(sensor.series):
        tails = _tails(origin, sensor, number)
        scale = 10**series.decimals
        for line in range(rows_total):
            index, when = times[line]
            scaled = sensor.columns[number][line]
            value = "" if scaled is None else f',"value":{scaled / scale!r}'
            if seq not in origin.left_out:
                body = f'{owner},"seq":{seq},{when}{value},{tails[line]}'
                yield Document(index, f"{key}{seq}", body)
            seq += 1


def _times(
    origin: BlockContext, block: Block, sensor: SensorColumns, names: IndexNames
) -> list[tuple[str, str]]:
    """Returns for each row the index and the fields of time."""
    days: dict[int | None, tuple[str, str]] = {}
    times = []
    for offset_ms in sensor.offsets_ms:
        instant = block.observed_at(offset_ms)
        if instant is None:
            instant = origin.date(offset_ms)
        day_number = None if instant is None else instant // _DAY_MS
        if day_number not in days:
            day = event_day(instant)
            days[day_number] = names.index(Kind.READING, day), f'"event_day":"{day.isoformat()}"'
        index, day_field = days[day_number]
        known = "" if instant is None else f',"observed_at":{instant},"{TIMESTAMP}":{instant}'
        times.append((index, f'{day_field}{known},"offset_ms":{offset_ms}'))
    return times


def _tails(origin: BlockContext, sensor: SensorColumns, number: int) -> list[str]:
    """Returns for each row the end of the document: fields of series, mark and count."""
    series = {
        "received_at": origin.received_at,
        "sensor_id": sensor.sensor_id,
        "quantity": sensor.series[number].quantity.value,
        "calibration": sensor.calibration,
        "statistic": sensor.statistic,
        "span_s": sensor.span_s,
    }
    start = _json({name: value for name, value in series.items() if value is not None})[1:-1]
    tails = [f'{start},"quality":"good"' + "}"] * len(sensor.offsets_ms)
    for mark in sensor.marks:
        if mark.series == number:
            tails[mark.row] = f"{start},{_marked(mark)}" + "}"
    if sensor.counts:
        tails = [
            f'{tail[:-1]},"count":{count}' + "}"
            for tail, count in zip(tails, sensor.counts, strict=True)
        ]
    return tails


def _marked(mark: Mark) -> str:
    flags = [flag.value for flag in mark.flags]
    return _json({"quality": mark.quality.value} | ({"flags": flags} if flags else {}))[1:-1]
