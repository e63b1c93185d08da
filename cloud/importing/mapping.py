"""Defines a mapping: which columns of a file are time, device, sensor and value, and in which unit.

A mapping is a TOML file; `cloud.importing.mapping_file` reads it. Columns are named as in the
file's header. A name with `*` is a pattern, for headers that contain a serial number.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Annotated, Any

from contract.quantities import Quantity
from contract.records import Statistic
from contract.typed import Between, Id, Pattern, plain

__all__ = [
    "Ambiguous",
    "CsvKeys",
    "DeviceKeys",
    "Format",
    "Mapping",
    "QualityKeys",
    "SensorKeys",
    "SignalKeys",
    "TimeKeys",
    "ValueKeys",
]

Text = Annotated[str, Pattern(r"[^\x00-\x1f]{0,500}", "at most 500 characters on one line")]
Name = Annotated[str, Pattern(r"[^\x00-\x1f]{1,500}", "1 to 500 characters on one line")]
Character = Annotated[str, Pattern(r"[^\x00-\x08\x0a-\x1f]", "one character")]


class Format(StrEnum):
    """Form of the file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    LINE_PROTOCOL = "line_protocol"
    ANNOTATED_CSV = "annotated_csv"


class Ambiguous(StrEnum):
    """Says which instant a local time means that occurs twice when clocks are set back."""

    REFUSE = "refuse"
    EARLIER = "earlier"
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvKeys:
    """Section `[csv]`.

    Attributes:
        delimiter: Character between two columns.
        decimal_mark: Character before the decimals of a number.
        encoding: Encoding of the text, such as `utf-8`, `cp1252` or `utf-16`.
        header_begins: Text with which the header line begins; lines before it are ignored. Absent:
            the first line is the header.
        columns: Names of the columns, for a file without a header line.
    """

    delimiter: Character = ","
    decimal_mark: Character = "."
    encoding: Name = "utf-8-sig"
    header_begins: Name | None = None
    columns: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeKeys:
    """Section `[time]`.

    Attributes:
        columns: Column of the time; several, such as date and time, are joined with a space.
        format: `iso` (ISO 8601), `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, or a pattern of
            Python's strptime, such as `%d.%m.%Y %H:%M`.
        zone: Time zone of times without an offset from UTC, such as `Europe/Berlin` or `UTC`.
            `header`: the offset is in the column's name, as in `Date Time, GMT-05:00`.
        ambiguous: Which of two instants a time means that occurs twice in the zone.
        shift_s: Seconds to add to each time, such as 3600 if the file names the begin of an hour
            and the value is a statistic of that hour.
    """

    columns: tuple[Name, ...]
    format: Name = "iso"
    zone: Name | None = None
    ambiguous: Ambiguous = Ambiguous.REFUSE
    shift_s: Annotated[float, Between(-(10**7), 10**7)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeys:
    """Section `[device]`.

    Attributes:
        id: The device of every row.
        column: Column that names the device.
        values: Table from a text in that column to a device id; a row with another text is not
            imported. Absent: the text in lower case is the id, with `-` for other characters.
    """

    id: Id | None = None
    column: Name | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorKeys:
    """Section `[sensor]`.

    Attributes:
        id: The sensor of every row.
        column: Column that names the sensor.
        values: Table from a text in that column to a sensor id, as for devices.
    """

    id: Id | None = None
    column: Name | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalKeys:
    """Section `[signal]`: one column names sensor and quantity, as entities of Home Assistant do.

    Attributes:
        column: The column.
        values: Table from a text in that column to `<sensor id>/<quantity>`, and the unit after a
            space if it is not the quantity's: `"attic/temperature °F"`. A row with another text is
            not imported.
    """

    column: Name
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueKeys:
    """Table `[[value]]`: one column of values.

    Attributes:
        column: The column.
        quantity: Quantity of the values; absent only if section `[signal]` names it.
        unit: Unit of the values; absent: the quantity's own.
        unit_column: Column that names the unit of each row, instead of `unit`.
        sensor: The sensor of these values; absent: that of section `[sensor]` or `[signal]`.
        when: Table from columns to texts: only rows with these texts have such a value.
        decimals: Decimals to which values are rounded; absent: the quantity's usual ones.
        numbers: Table from texts to numbers, such as `{ open = 0, closed = 1 }`.
        statistic: Statistic of a span that the values are: min, mean or max.
        span_s: Length of that span, seconds.
        optional: Whether a file without the column is accepted.
    """

    column: Name
    quantity: Quantity | None = None
    unit: Text = ""
    unit_column: Name | None = None
    sensor: Id | None = None
    when: dict[str, Any] = field(default_factory=dict)
    decimals: Annotated[int, Between(0, 9)] | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    statistic: Statistic | None = None
    span_s: Annotated[float, Between(0, 1e9)] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityKeys:
    """Section `[quality]`.

    Attributes:
        column: Column of the other system's quality.
        values: Table from a text in that column to a quality (good, uncertain or bad), with flags
            after a space: `"uncertain stuck"`. A row with another text is refused.
    """

    column: Name
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A whole mapping.

    Attributes:
        about: What the mapping is for, one line.
        source: Where the form of these files is described.
        format: Form of the file.
        missing: Texts that mean that there is no value; an empty text always does.
        csv: Keys of CSV files.
        time: When a row was measured.
        device: Where a row was measured.
        sensor: Sensor of a row.
        signal: Sensor and quantity of a row.
        value: Columns of values.
        quality: How far a row can be trusted; absent: rows are good.
    """

    about: Text = ""
    source: Text = ""
    format: Format = Format.CSV
    missing: tuple[Text, ...] = ()
    csv: CsvKeys = field(default_factory=CsvKeys)
    time: TimeKeys
    device: DeviceKeys = field(default_factory=DeviceKeys)
    sensor: SensorKeys = field(default_factory=SensorKeys)
    signal: SignalKeys | None = None
    value: tuple[ValueKeys, ...]
    quality: QualityKeys | None = None

    def columns(self) -> Iterator[str]:
        """Yields the names of all columns that a file must have."""
        yield from self.time.columns
        for keys in (self.device, self.sensor, self.signal, self.quality):
            if keys is not None and keys.column is not None:
                yield keys.column
        for value in self.value:
            if not value.optional:
                yield value.column
                yield from value.when
                if value.unit_column is not None:
                    yield value.unit_column

    def optional_columns(self) -> Iterator[str]:
        """Yields the names of columns that a file may lack."""
        for value in self.value:
            if value.optional:
                yield value.column
                yield from value.when
                if value.unit_column is not None:
                    yield value.unit_column

    @property
    def sha256(self) -> str:
        """Digest of everything that decides which readings a file has; texts for people do not.

        Keys with their default are left out, so that a later release may have more keys.
        """
        table = _set_keys(replace(self, about="", source=""))
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _set_keys(value: Any) -> Any:
    """Returns the JSON-ready form of a value, without keys that have their default."""
    if isinstance(value, tuple):
        return [_set_keys(item) for item in value]
    if not is_dataclass(value) or isinstance(value, type):
        return plain(value)
    pairs = ((f, getattr(value, f.name)) for f in fields(value))
    return {f.name: _set_keys(item) for f, item in pairs if item != _default(f)}


def _default(own: "Field[Any]") -> Any:
    return own.default if own.default_factory is MISSING else own.default_factory()
