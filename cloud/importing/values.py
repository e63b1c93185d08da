"""Turns rows of a file into readings: one piece of a series for each signal in the rows.

All work is on whole columns. Nothing here writes, and the same rows always give the same pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa

from cloud.importing.columns import Flags, Floats, Ints, Rows, coded, numbers, texts_of
from cloud.importing.mapping import Mapping, ValueKeys
from cloud.importing.mapping_file import MappedSignal
from cloud.importing.naming import (
    GOOD,
    Grade,
    Looked,
    grades_of,
    names_of,
    rows_when,
    signals_of,
)
from cloud.importing.refusals import Refusals
from cloud.importing.times import TimeReader, joined
from cloud.importing.units import conversion
from cloud.plausible import AHEAD_MS, FIRST_UTC_MS, IMPLAUSIBLE_TIME
from contract.quantities import Flag, Quality, Quantity
from contract.records import Statistic
from contract.signals import Signal

__all__ = ["Piece", "SeriesKey", "ValueReader"]

T = TypeVar("T")

_LARGEST = 2.0**53 - 1


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """One series of readings: values that one column of a block may contain."""

    device_id: str
    signal: Signal
    decimals: int
    statistic: Statistic | None = None
    span_s: float | None = None

    @property
    def order(self) -> tuple[str, str, str, int]:
        """Sort key that does not depend on the order of rows."""
        return (self.device_id, str(self.signal), str(self.statistic or ""), self.decimals)


@dataclass(frozen=True, slots=True)
class Piece:
    """Readings of one series, in the order of the file; all arrays have the same length.

    Attributes:
        key: The series.
        at_ms: Instants, ms since 1970 UTC.
        scaled: Values x 10^decimals.
        grades: Index of each value's quality in `ValueReader.grades`.
        lines: Lines in the file.
    """

    key: SeriesKey
    at_ms: Ints
    scaled: Ints
    grades: Ints
    lines: Ints


@dataclass(frozen=True, slots=True)
class _Dated:
    """Rows with what all their values share."""

    rows: Rows
    at_ms: Ints
    usable: Flags
    devices: Looked[str]
    grades: Looked[Grade]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of one device, signal and unit: `where` are their places."""

    device_id: str
    signal: Signal
    unit: str
    where: Ints


class ValueReader:
    """Reads one file's rows by a mapping.

    Args:
        mapping: The mapping.
        received_at: Instant of the import, ms since 1970 UTC; decides which times are plausible.
        refusals: Counts what is refused.

    Attributes:
        grades: The qualities that the pieces name; the first is that of a good value.
        missing_total: Number of values that the file does not have.
    """

    def __init__(self, mapping: Mapping, received_at: int, refusals: Refusals) -> None:
        self._mapping = mapping
        self._latest = received_at + AHEAD_MS
        self._refusals = refusals
        self._missing = frozenset(("", *mapping.missing))
        self._times: TimeReader | None = None
        self.grades: list[Grade] = [GOOD]
        self.missing_total = 0

    def read(self, rows: Rows) -> Iterator[Piece]:
        """Yields the pieces in these rows; counts what is refused."""
        for fault in rows.faults:
            self._refusals.add(fault.reason, [fault.line], fault.text)
        if not len(rows.lines):
            return
        dated = self._dated(rows)
        for keys in self._mapping.value:
            column = rows.columns.get(keys.column)
            if column is not None:
                yield from self._of_column(dated, keys, column)

    def _dated(self, rows: Rows) -> _Dated:
        at_ms, usable = self._instants(rows)
        devices = names_of(rows, self._mapping.device, "no_device")
        self._need(rows, usable, devices, self._mapping.device.column)
        grades = grades_of(rows, self._mapping.quality)
        quality = self._mapping.quality
        self._need(rows, usable, grades, None if quality is None else quality.column)
        return _Dated(rows, at_ms, usable, devices, grades)

    def _instants(self, rows: Rows) -> tuple[Ints, Flags]:
        keys = self._mapping.time
        if self._times is None:
            self._times = TimeReader(keys, rows.names.get(keys.columns[0], keys.columns[0]))
        column = joined([_column(rows, name) for name in keys.columns])
        at_ms, why = self._times.read(column)
        usable = np.ones(len(rows.lines), np.bool_)
        for reason, where in why.items():
            self._refuse(reason, rows, where, column)
            usable[where] = False
        apart = usable & ((at_ms < FIRST_UTC_MS) | (at_ms > self._latest))
        self._refuse(IMPLAUSIBLE_TIME, rows, np.flatnonzero(apart), column)
        return at_ms, usable & ~apart

    def _need(self, rows: Rows, usable: Flags, found: Looked[T], column: str | None) -> None:
        """Refuses the usable rows without a value."""
        lacking = np.flatnonzero(usable & (found.codes < 0))
        if column is not None:
            self._refuse(found.reason, rows, lacking, _column(rows, column))
        usable[lacking] = False

    def _of_column(self, dated: _Dated, keys: ValueKeys, column: pa.Array) -> Iterator[Piece]:
        rows = dated.rows
        usable = dated.usable & rows_when(rows, keys.when)
        signals = self._signals(rows, usable, keys)
        values, empty, wrong = numbers(
            _replaced(column, keys), self._missing, self._mapping.csv.decimal_mark
        )
        self.missing_total += int(np.count_nonzero(usable & empty))
        self._refuse("not_a_number", rows, np.flatnonzero(usable & wrong), column)
        usable &= ~empty & ~wrong
        units = self._units(rows, keys)
        for group in _groups(usable, dated.devices, signals, units):
            yield from self._of_group(dated, keys, group, values)

    def _signals(self, rows: Rows, usable: Flags, keys: ValueKeys) -> Looked[MappedSignal]:
        """Returns the signal of each row; refuses usable rows without one."""
        own = self._mapping.signal
        if own is not None:
            signals = signals_of(rows, own)
            self._need(rows, usable, signals, own.column)
            return signals
        if keys.quantity is None:
            raise ValueError(f"[[value]] {keys.column} has no quantity")
        sensor = self._mapping.sensor
        if keys.sensor is not None:
            names = Looked((keys.sensor,), np.zeros(len(rows.lines), np.int64))
        else:
            names = names_of(rows, sensor, "no_sensor")
            self._need(rows, usable, names, sensor.column)
        made = tuple(MappedSignal(Signal(name, keys.quantity), keys.unit) for name in names.values)
        return Looked(made, names.codes)

    def _units(self, rows: Rows, keys: ValueKeys) -> Looked[str] | None:
        if keys.unit_column is None:
            return None
        texts, codes = coded(texts_of(_column(rows, keys.unit_column)))
        return Looked(tuple(texts), codes)

    def _of_group(
        self, dated: _Dated, keys: ValueKeys, group: _Group, values: Floats
    ) -> Iterator[Piece]:
        quantity, where = group.signal.quantity, group.where
        convert = conversion(quantity, group.unit)
        if convert is None:
            text = f"{group.unit} of {quantity}"
            self._refusals.add("bad_unit", dated.rows.lines[where], text)
            return
        converted = values[where] * convert.factor + convert.offset
        decimals = quantity.facts.decimals if keys.decimals is None else keys.decimals
        scaled = np.rint(converted * 10.0**decimals)
        large = np.abs(scaled) > _LARGEST
        self._refusals.add("too_large", dated.rows.lines[where[large]])
        where, scaled = where[~large], scaled[~large].astype(np.int64)
        if len(where):
            grades = self._graded(dated.grades, where, quantity, scaled / 10.0**decimals)
            key = SeriesKey(group.device_id, group.signal, decimals, keys.statistic, keys.span_s)
            yield Piece(key, dated.at_ms[where], scaled, grades, dated.rows.lines[where])

    def _graded(
        self, looked: Looked[Grade], where: Ints, quantity: Quantity, values: Floats
    ) -> Ints:
        """Returns the quality of each value; one outside of the plausible range is bad."""
        apart = (values < quantity.facts.low) | (values > quantity.facts.high)
        inside = np.array([self._place(grade) for grade in looked.values], np.int64)
        if not apart.any():
            return inside[looked.codes[where]]
        outside = np.array([self._place(_out_of_range(g)) for g in looked.values], np.int64)
        return np.where(apart, outside[looked.codes[where]], inside[looked.codes[where]])

    def _place(self, grade: Grade) -> int:
        if grade not in self.grades:
            self.grades.append(grade)
        return self.grades.index(grade)

    def _refuse(self, reason: str, rows: Rows, where: Ints, column: pa.Array) -> None:
        if len(where):
            text = column[int(where[0])].as_py()
            self._refusals.add(reason, rows.lines[where], "" if text is None else str(text))


def _column(rows: Rows, name: str) -> pa.Array:
    """Returns a column; one without any value if the rows lack it, as lines of JSON may."""
    found = rows.columns.get(name)
    return pa.nulls(len(rows.lines), pa.string()) if found is None else found


def _replaced(column: pa.Array, keys: ValueKeys) -> pa.Array:
    """Returns the column with the texts of `numbers` replaced by their numbers."""
    if not keys.numbers:
        return column
    texts, codes = coded(texts_of(column))
    known = [str(keys.numbers.get(text, text)) for text in texts]
    return pa.array([*known, None], pa.string()).take(pa.array(codes % (len(known) + 1)))


def _out_of_range(grade: Grade) -> Grade:
    flags = grade[1] if Flag.OUT_OF_RANGE in grade[1] else (*grade[1], Flag.OUT_OF_RANGE)
    return Quality.BAD, flags


def _groups(
    usable: Flags,
    devices: Looked[str],
    signals: Looked[MappedSignal],
    units: Looked[str] | None,
) -> Iterator[_Group]:
    """Yields the usable rows of each device, signal and unit, in the order of the file."""
    places = np.flatnonzero(usable)
    codes = devices.codes[places] * max(1, len(signals.values)) + signals.codes[places]
    if units is not None:
        codes = codes * (len(units.values) + 1) + units.codes[places] + 1
    order = np.argsort(codes, kind="stable")
    splits = np.flatnonzero(np.diff(codes[order])) + 1
    for part in np.split(places[order], splits):
        if len(part):
            first = int(part[0])
            mapped = signals.values[signals.codes[first]]
            unit = mapped.unit if units is None else _unit_at(units, first)
            yield _Group(devices.values[devices.codes[first]], mapped.signal, unit, part)


def _unit_at(units: Looked[str], row: int) -> str:
    code = int(units.codes[row])
    return "" if code < 0 else units.values[code]
