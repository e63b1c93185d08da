"""Defines blocks in memory: consecutive records of one stream, with readings in columns.

A stream is one run of a gateway's sense loop. Record numbers are not stored: they follow from the
order of the records. First come the values of each sensor (series by series, each series in the
order of its times), then the events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from contract.quantities import Flag, Quality, Quantity
from contract.records import EVENT_TYPES, Event, Kind, Reading, Record, Statistic

__all__ = [
    "Block",
    "ClockState",
    "Entry",
    "Mark",
    "SensorColumns",
    "Series",
    "TimedEvent",
    "entries",
    "kind_of",
    "kinds_total",
]

GOOD: tuple[Quality, tuple[Flag, ...]] = (Quality.GOOD, ())


class ClockState(StrEnum):
    """Says whether the clock was trusted when the block was committed."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"


@dataclass(frozen=True, slots=True)
class Series:
    """Describes one column: a quantity and the number of decimals of its scaled integers."""

    quantity: Quantity
    decimals: int


class Mark(NamedTuple):
    """Gives the quality of one value that is not `good`, by its series and row in the sensor.

    A tuple, because a block may have thousands.
    """

    series: int
    row: int
    quality: Quality
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorColumns:
    """Holds all values of one sensor in a block; its series share their times.

    Attributes:
        sensor_id: Role of the sensor.
        series: One per column.
        offsets_ms: Monotonic offsets in the stream, ascending, one per row.
        columns: Per series one scaled integer per row: value x 10^decimals, None for no value.
        marks: Quality of the values that are not `good`; each None has one.
        calibration: Version of the calibration that applies.
        statistic: Set on thinned rows, with `span_s` and `counts`.
        span_s: Seconds that a thinned row stands for.
        counts: Number of samples that each thinned row was made of.
    """

    sensor_id: str
    series: tuple[Series, ...]
    offsets_ms: tuple[int, ...]
    columns: tuple[tuple[int | None, ...], ...]
    marks: tuple[Mark, ...] = ()
    calibration: str | None = None
    statistic: Statistic | None = None
    span_s: float | None = None
    counts: tuple[int, ...] = ()

    @property
    def readings_total(self) -> int:
        """Number of readings in these columns, including those without a value."""
        return len(self.series) * len(self.offsets_ms)


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """Holds an event and its monotonic offset in the stream, ms."""

    offset_ms: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Holds consecutive records of one stream.

    Attributes:
        stream_id: The run of the sense loop that made them.
        first: Number of the first record.
        offset_ms: Monotonic offset that the times in the block count from.
        utc_at: The same instant, ms since 1970 UTC; None if the clock was not trusted.
        sensors: Columns of readings.
        events: All other records.
    """

    stream_id: str
    first: int
    offset_ms: int
    utc_at: int | None
    sensors: tuple[SensorColumns, ...] = ()
    events: tuple[TimedEvent, ...] = ()

    @property
    def clock(self) -> ClockState:
        """State of the clock: `synced` if UTC times are known."""
        return ClockState.UNSYNCED if self.utc_at is None else ClockState.SYNCED

    @property
    def records_total(self) -> int:
        """Number of records in the block."""
        return sum(s.readings_total for s in self.sensors) + len(self.events)

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self.first + self.records_total - 1

    def observed_at(self, offset_ms: int) -> int | None:
        """Returns the UTC instant of an offset in this stream, ms since 1970; None if unknown."""
        return None if self.utc_at is None else self.utc_at + offset_ms - self.offset_ms


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one record with its number and its times."""

    seq: int
    offset_ms: int
    observed_at: int | None
    record: Record


def kind_of(record: Record) -> Kind:
    """Returns the kind of a record."""
    return Kind.READING if isinstance(record, Reading) else EVENT_TYPES[type(record)]


def kinds_total(block: Block) -> dict[Kind, int]:
    """Returns the number of records of each kind in a block, without kinds that have none."""
    readings = sum(s.readings_total for s in block.sensors)
    totals = {Kind.READING: readings} if readings else {}
    for timed in block.events:
        kind = EVENT_TYPES[type(timed.event)]
        totals[kind] = totals.get(kind, 0) + 1
    return totals


def entries(block: Block) -> Iterator[Entry]:
    """Yields the block's records one by one, in the order of their numbers."""
    seq = block.first
    for sensor in block.sensors:
        for offset_ms, reading in _readings(sensor):
            yield Entry(seq, offset_ms, block.observed_at(offset_ms), reading)
            seq += 1
    for timed in block.events:
        yield Entry(seq, timed.offset_ms, block.observed_at(timed.offset_ms), timed.event)
        seq += 1


def _readings(sensor: SensorColumns) -> Iterator[tuple[int, Reading]]:
    marks = {(m.series, m.row): (m.quality, m.flags) for m in sensor.marks}
    for index, series in enumerate(sensor.series):
        scale = 10**series.decimals
        for row, scaled in enumerate(sensor.columns[index]):
            quality, flags = marks.get((index, row), GOOD)
            yield (
                sensor.offsets_ms[row],
                Reading(
                    sensor_id=sensor.sensor_id,
                    quantity=series.quantity,
                    value=None if scaled is None else scaled / scale,
                    quality=quality,
                    flags=flags,
                    calibration=sensor.calibration,
                    statistic=sensor.statistic,
                    span_s=sensor.span_s,
                    count=sensor.counts[row] if sensor.counts else None,
                ),
            )
