"""Provides the true values around simulated chips, from a recording or another feed.

A feed returns the true values at a UNIX time. It never fills a gap and does not depend on chips.
All quantities are treated alike, so a new quantity needs no change here.
"""

import csv
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from contract.errors import ConfigError
from contract.quantities import Quantity
from firmware_bridge.board import Clock

__all__ = ["Feed", "RecordingFeed", "Surroundings", "TrueValues", "read_recording"]

_INSTANT = "at_ms"
_BY_COLUMN = {quantity.facts.column: quantity for quantity in Quantity}


@dataclass(frozen=True, slots=True)
class TrueValues:
    """The true values around a chip at one time.

    Attributes:
        known: A value for each known quantity, in its canonical unit. A chip that needs an unknown
            quantity does not answer.
    """

    known: Mapping[Quantity, float] = field(default_factory=dict)

    def value(self, quantity: Quantity) -> float | None:
        """Return the value of this quantity, or None if it is unknown."""
        return self.known.get(quantity)


class Feed(Protocol):
    """A source of true values."""

    def at(self, now_s: float) -> TrueValues | None:
        """Return the values at `now_s`, UNIX seconds, or None if there are none at that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The surroundings of a simulated chip: a feed and two clocks."""

    feed: Feed
    clock: Clock
    wall_s: Callable[[], float]

    def now(self) -> TrueValues:
        """Return the true values now, by the wall clock."""
        return self.feed.at(self.wall_s()) or TrueValues()


class RecordingFeed:
    """Plays a recording back: returns the latest row, if it is not too old.

    A row is valid until the next row, or until the row is `max_age_s` old. A value missing in the
    latest row is unknown, even if the row before has one.
    """

    def __init__(
        self, at_ms: Iterable[int], rows: Iterable[TrueValues], *, max_age_s: float
    ) -> None:
        """Store the rows and check their times.

        Args:
            at_ms: UNIX milliseconds, strictly rising.
            rows: The same number of rows.
            max_age_s: Seconds after which a row is not used any more.

        Raises:
            ValueError: times do not rise, or the lengths differ.
        """
        self._at_ms = list(at_ms)
        self._rows = list(rows)
        self._max_age_ms = max_age_s * 1000
        if len(self._at_ms) != len(self._rows):
            raise ValueError(f"{len(self._at_ms)} instants, {len(self._rows)} rows of values")
        for before, after in zip(self._at_ms, self._at_ms[1:], strict=False):
            if after <= before:
                raise ValueError(f"instant {after} follows {before}: expected rising instants")

    def at(self, now_s: float) -> TrueValues | None:
        """Return the row valid at `now_s`, UNIX seconds; None in a gap or outside the recording."""
        # Whole milliseconds: a float of seconds may be slightly before the intended row.
        now_ms = round(now_s * 1000)
        index = bisect_right(self._at_ms, now_ms) - 1
        if index < 0 or now_ms - self._at_ms[index] > self._max_age_ms:
            return None
        return self._rows[index]

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """Return first and last time, UNIX milliseconds, or None if there are no rows."""
        return (self._at_ms[0], self._at_ms[-1]) if self._at_ms else None


def read_recording(path: Path, *, max_age_s: float) -> RecordingFeed:
    """Read a recording from a CSV file with the header `at_ms` and then columns of quantities.

    The columns are the `facts.column` of one or more quantities in any order, such as
    `at_ms,temperature_c,co2_ppm`. Times are UNIX milliseconds, strictly rising. An empty field
    means that the value is unknown.

    Raises:
        ConfigError: the file cannot be read, or a row is wrong; the text names file and line.
    """
    at_ms: list[int] = []
    values: list[TrueValues] = []
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = csv.reader(lines, strict=True)
            columns = _columns(path, next(rows, []))
            for row in rows:
                where = f"{path}: line {rows.line_num}"
                at_ms.append(_instant(where, row, columns, at_ms))
                values.append(_values(where, row[1:], columns))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as a CSV recording: {error}") from error
    return RecordingFeed(at_ms, values, max_age_s=max_age_s)


def _columns(path: Path, header: Sequence[str]) -> tuple[Quantity, ...]:
    names = header[1:]
    known = _BY_COLUMN.keys()
    if list(header[:1]) != [_INSTANT] or not names or set(names) - known:
        raise ConfigError(
            f"{path}: line 1: expected {_INSTANT} and then one or more of {', '.join(known)}, "
            f"found {','.join(header) or 'nothing'}"
        )
    if len(set(names)) != len(names):
        raise ConfigError(f"{path}: line 1: expected each column once, found {','.join(header)}")
    return tuple(_BY_COLUMN[name] for name in names)


def _instant(
    where: str, row: Sequence[str], columns: Sequence[Quantity], before_ms: Sequence[int]
) -> int:
    if len(row) != 1 + len(columns):
        raise ConfigError(f"{where}: expected {1 + len(columns)} fields, found {len(row)}")
    try:
        instant = int(row[0])
    except ValueError as error:
        raise ConfigError(
            f"{where}: {_INSTANT}: expected UNIX milliseconds, found {row[0]!r}"
        ) from error
    if before_ms and instant <= before_ms[-1]:
        raise ConfigError(
            f"{where}: {_INSTANT}: expected more than {before_ms[-1]} of the row before, "
            f"found {instant}"
        )
    return instant


def _values(where: str, fields: Sequence[str], columns: Sequence[Quantity]) -> TrueValues:
    return TrueValues(
        {
            quantity: _number(f"{where}: {quantity.facts.column}", text)
            for quantity, text in zip(columns, fields, strict=True)
            if text != ""
        }
    )


def _number(where: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where}: expected a finite number or an empty field, found {text!r}")
    return number
