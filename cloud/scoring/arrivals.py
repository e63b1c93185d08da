"""Summarizes a batch of the lake's rows: devices, times of their readings, last files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.lake.positions import FileSequence, Position
from cloud.scoring.forecast import DAY_MS, TimeSpan, day_of
from cloud.transforms.schema import SOURCE
from contract.records import Kind
from contract.topics import Lane

__all__ = ["Arrival", "Arrivals", "affected", "arrivals_of"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """Instants of the first and last of a device's readings, ms since 1970 UTC."""

    first_ms: int
    last_ms: int

    def joined(self, other: "Arrival | None") -> "Arrival":
        """Return one arrival that spans both."""
        if other is None:
            return self
        return Arrival(min(self.first_ms, other.first_ms), max(self.last_ms, other.last_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Summary of a batch.

    Attributes:
        devices: For each device, the instants of its dated readings.
        positions: The last file of each sequence.
        readings_total: Number of readings, including repeated ones.
        undated_total: Number of these readings without a date.
        fixes_total: Number of clock fixes. A clock fix gives dates to earlier readings.
    """

    devices: Mapping[str, Arrival]
    positions: tuple[Position, ...]
    readings_total: int
    undated_total: int
    fixes_total: int

    @property
    def dates_change(self) -> bool:
        """Whether the batch has readings without a date, or clock fixes that give dates."""
        return bool(self.undated_total or self.fixes_total)


def arrivals_of(rows: DataFrame) -> Arrivals:
    """Summarize a batch in one pass; the columns are those of the data source."""
    found = _counted(rows).collect()
    return Arrivals(
        devices=devices_of(found),
        positions=tuple(_positions(found)),
        readings_total=sum(r["readings"] for r in found),
        undated_total=sum(r["undated"] for r in found),
        fixes_total=sum(r["fixes"] for r in found),
    )


def _counted(rows: DataFrame) -> DataFrame:
    """Return one row for each device and sequence of files."""
    place = F.split(SOURCE, " ")  # see cloud.transforms.arrow_blocks.source_of
    reading = F.col("kind") == Kind.READING.value
    observed_ms = F.when(reading, F.unix_millis("observed_at"))
    named = (place[0].alias("node"), place[2].alias("start_id"), place[3].alias("lane"))
    return rows.groupBy("device_id", *named).agg(
        F.max(place[1].cast("long")).alias("n"),
        F.min(observed_ms).alias("first_ms"),
        F.max(observed_ms).alias("last_ms"),
        F.count_if(reading).alias("readings"),
        F.count_if(reading & F.col("observed_at").isNull()).alias("undated"),
        F.count_if(F.col("kind") == Kind.CLOCK_FIX.value).alias("fixes"),
    )


def devices_of(rows: Iterable[Row]) -> dict[str, Arrival]:
    """Return each device's arrival from rows with `device_id`, `first_ms` and `last_ms`."""
    devices: dict[str, Arrival] = {}
    for row in rows:
        if row["first_ms"] is not None:
            arrival = Arrival(row["first_ms"], row["last_ms"])
            devices[row["device_id"]] = arrival.joined(devices.get(row["device_id"]))
    return devices


def _positions(rows: Sequence[Row]) -> Iterator[Position]:
    for row in rows:
        if row["device_id"] is None:  # the row that marks a file
            yield Position(FileSequence(row["node"], row["start_id"], Lane(row["lane"])), row["n"])


def affected(devices: Mapping[str, Arrival], warm: int) -> dict[str, TimeSpan]:
    """Return for each device the span of steps that its new readings may change.

    Args:
        devices: Arrivals of the devices.
        warm: Number of earlier days on which a day's steps depend, from `forecast.warm_days`.
    """
    return {
        device: TimeSpan(a.first_ms, day_of(a.last_ms) + (warm + 1) * DAY_MS)
        for device, a in devices.items()
    }
