"""Collects records in the open block, in growing columns, without an object per reading.

Uses neither clocks nor storage; the caller of `close` passes the first number.
"""

from dataclasses import dataclass, field

from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.limits import NEW, parts_of
from contract.quantities import Flag, Quality
from contract.records import Event

__all__ = ["Measured", "OpenBlock"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One reading of one sensor: a scaled integer per series, all at the same time.

    Attributes:
        sensor_id: Role of the sensor.
        series: Quantities that the sensor measures, with their decimals.
        offset_ms: Monotonic offset in the stream.
        values: Value x 10^decimals per series; None if there is no value.
        qualities: Quality and flags per series.
    """

    sensor_id: str
    series: tuple[Series, ...]
    offset_ms: int
    values: tuple[int | None, ...]
    qualities: tuple[tuple[Quality, tuple[Flag, ...]], ...]


@dataclass(slots=True)
class _Columns:
    series: tuple[Series, ...]
    offsets_ms: list[int] = field(default_factory=list)
    values: list[list[int | None]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


class OpenBlock:
    """Collects records until `close` turns them into a `Block`."""

    def __init__(self) -> None:
        self._sensors: dict[str, _Columns] = {}
        self._events: list[TimedEvent] = []
        self._opened: tuple[int, int | None] | None = None
        self._series_total = 0
        self._parts_total = 0
        self.records_total = 0

    @property
    def opened(self) -> tuple[int, int | None] | None:
        """Returns offset and UTC (ms) of the block's one clock reading; None if empty."""
        return self._opened

    def open_at(self, offset_ms: int, utc_at: int | None) -> None:
        """Sets the clock reading of an empty block; later calls change nothing."""
        if self._opened is None:
            self._opened = (offset_ms, utc_at)

    def has_room_for(self, added: Measured | Event) -> bool:
        """Returns whether the block remains within the contract's limits with this record too."""
        if isinstance(added, Measured):
            is_new = added.sensor_id not in self._sensors
            sensors = len(self._sensors) + is_new
            series = self._series_total + len(added.series) * is_new
            records = self.records_total + len(added.values)
            return sensors <= NEW.sensors and series <= NEW.series and records <= NEW.records
        parts = self._parts_total + parts_of(added)
        is_small = self.records_total < NEW.records and len(self._events) < NEW.events
        return is_small and parts <= NEW.parts

    def add_reading(self, measured: Measured) -> None:
        """Appends one reading per series of the sensor."""
        columns = self._sensors.get(measured.sensor_id)
        if columns is None:
            columns = _Columns(measured.series, values=[[] for _ in measured.series])
            self._sensors[measured.sensor_id] = columns
            self._series_total += len(measured.series)
        row = len(columns.offsets_ms)
        columns.offsets_ms.append(measured.offset_ms)
        for index, value in enumerate(measured.values):
            columns.values[index].append(value)
            quality, flags = measured.qualities[index]
            if flags:
                columns.marks.append(Mark(index, row, quality, flags))
        self.records_total += len(measured.values)

    def add_event(self, offset_ms: int, event: Event) -> None:
        """Appends a record that is not a reading."""
        self._events.append(TimedEvent(offset_ms, event))
        self._parts_total += parts_of(event)
        self.records_total += 1

    def close(self, stream_id: str, first: int) -> Block:
        """Returns the block; this object does not change, so a failed commit loses nothing."""
        if self._opened is None or not self.records_total:
            raise ValueError("an empty block cannot be closed")
        offset_ms, utc_at = self._opened
        base_ms = min(
            offset_ms,
            *(c.offsets_ms[0] for c in self._sensors.values()),
            *(e.offset_ms for e in self._events),
        )
        return Block(
            stream_id=stream_id,
            first=first,
            offset_ms=base_ms,
            utc_at=None if utc_at is None else utc_at + base_ms - offset_ms,
            sensors=tuple(_sensor(name, c) for name, c in self._sensors.items()),
            events=tuple(self._events),
        )


def _sensor(sensor_id: str, columns: _Columns) -> SensorColumns:
    return SensorColumns(
        sensor_id=sensor_id,
        series=columns.series,
        offsets_ms=tuple(columns.offsets_ms),
        columns=tuple(tuple(column) for column in columns.values),
        marks=tuple(columns.marks),
    )
