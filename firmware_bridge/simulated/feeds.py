"""The weather that simulated chips measure: recorded, or generated.

A feed is asked for an instant of UNIX time and answers with what the air was like, or None where
nobody knows. It never fills a gap and knows nothing of chips.
"""

import csv
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contract.errors import ConfigError
from firmware_bridge.board import Clock

__all__ = ["Feed", "RecordingFeed", "Surroundings", "WaveFeed", "Weather", "read_recording"]

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Air at one instant: Cel, %RH and Pa. None is unknown: a chip that needs it stays silent."""

    temperature_c: float | None
    humidity_pct: float | None
    pressure_pa: float | None


class Feed(Protocol):
    """A source of weather."""

    def at(self, now_s: float) -> Weather | None:
        """The weather at `now_s`, UNIX seconds, or None if there is none for that instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a simulated chip is placed in: air, and two readings of time."""

    feed: Feed
    clock: Clock
    wall_s: Callable[[], float]

    def weather(self) -> Weather | None:
        """The weather now, by the wall clock."""
        return self.feed.at(self.wall_s())


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFeed:
    """A smooth day to try things out: warmest and driest at 15:00 UTC, pressure in 5-day waves.

    Attributes:
        mean_c: Mean temperature, Cel.
        swing_c: Half the difference between warmest and coldest, Cel.
        mean_pct: Mean relative humidity, %; it swings by 15.
    """

    mean_c: float = 12.0
    swing_c: float = 5.0
    mean_pct: float = 65.0

    def at(self, now_s: float) -> Weather:
        """The generated weather at `now_s`, UNIX seconds; there is always some."""
        warmth = math.cos(2 * math.pi * (now_s / _DAY_S - 15 / 24))
        return Weather(
            temperature_c=self.mean_c + self.swing_c * warmth,
            humidity_pct=min(100.0, max(0.0, self.mean_pct - 15.0 * warmth)),
            pressure_pa=101_325.0 + 800.0 * math.sin(2 * math.pi * now_s / (5 * _DAY_S)),
        )


class RecordingFeed:
    """A recording played back: the latest row, if it is not too old.

    A row stands until the next one or until it is `max_age_s` old, whichever is sooner; a value
    missing in that row is missing, however recent the one before it.
    """

    def __init__(
        self, at_ms: Iterable[int], weather: Iterable[Weather], *, max_age_s: float
    ) -> None:
        """Rows in order of time.

        Args:
            at_ms: UNIX milliseconds, strictly rising.
            weather: As many.
            max_age_s: Seconds after which a row says nothing any more.

        Raises:
            ValueError: instants do not rise, or the lengths differ.
        """
        self._at_ms = list(at_ms)
        self._weather = list(weather)
        self._max_age_ms = max_age_s * 1000
        if len(self._at_ms) != len(self._weather):
            raise ValueError(f"{len(self._at_ms)} instants, {len(self._weather)} rows of weather")
        for before, after in zip(self._at_ms, self._at_ms[1:], strict=False):
            if after <= before:
                raise ValueError(f"instant {after} follows {before}: expected rising instants")

    def at(self, now_s: float) -> Weather | None:
        """The row that holds at `now_s`, UNIX seconds; None in a gap and outside the recording."""
        # Whole milliseconds: a float of seconds may lie a hair before the row that it means.
        now_ms = round(now_s * 1000)
        index = bisect_right(self._at_ms, now_ms) - 1
        if index < 0 or now_ms - self._at_ms[index] > self._max_age_ms:
            return None
        return self._weather[index]

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """First and last instant, UNIX milliseconds, or None if there are no rows."""
        return (self._at_ms[0], self._at_ms[-1]) if self._at_ms else None


_COLUMNS = ("at_ms", "temperature_c", "humidity_pct", "pressure_pa")


def read_recording(path: Path, *, max_age_s: float) -> RecordingFeed:
    """A recording from a CSV file with the header `at_ms,temperature_c,humidity_pct,pressure_pa`.

    Instants are UNIX milliseconds, strictly rising; an empty field means that the value is unknown.

    Raises:
        ConfigError: the file cannot be read, or a row is wrong; the text names file and line.
    """
    at_ms: list[int] = []
    weather: list[Weather] = []
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = csv.reader(lines, strict=True)
            _require_header(path, next(rows, []))
            for row in rows:
                instant, values = _parse_row(f"{path}: line {rows.line_num}", row, at_ms)
                at_ms.append(instant)
                weather.append(values)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as a CSV recording: {error}") from error
    return RecordingFeed(at_ms, weather, max_age_s=max_age_s)


def _require_header(path: Path, header: Sequence[str]) -> None:
    if tuple(header) != _COLUMNS:
        raise ConfigError(
            f"{path}: line 1: expected {','.join(_COLUMNS)}, found {','.join(header)}"
        )


def _parse_row(where: str, row: Sequence[str], before_ms: Sequence[int]) -> tuple[int, Weather]:
    if len(row) != len(_COLUMNS):
        raise ConfigError(f"{where}: expected {len(_COLUMNS)} fields, found {len(row)}")
    try:
        instant = int(row[0])
    except ValueError as error:
        raise ConfigError(
            f"{where}: at_ms: expected UNIX milliseconds, found {row[0]!r}"
        ) from error
    if before_ms and instant <= before_ms[-1]:
        raise ConfigError(f"{where}: at_ms: {instant} does not rise above {before_ms[-1]}")
    numbers = [
        _number(f"{where}: {name}", text) for name, text in zip(_COLUMNS[1:], row[1:], strict=True)
    ]
    temperature_c, humidity_pct, pressure_pa = numbers
    return instant, Weather(
        temperature_c=temperature_c, humidity_pct=humidity_pct, pressure_pa=pressure_pa
    )


def _number(where: str, text: str) -> float | None:
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where}: expected a finite number or nothing, found {text!r}")
    return number
