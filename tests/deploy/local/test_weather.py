"""The recording as it is moved, converted and written."""

import csv
from pathlib import Path

import pytest

from deploy.local.weather import (
    STATIONS,
    Shift,
    recorded_ms,
    station_rows,
    write_history,
    write_recordings,
)

WEEK_MS = 7 * 86_400_000
NOW_MS = recorded_ms("2026-11-24T12:00:00+00:00")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shift, int, int]:
    folder = tmp_path_factory.mktemp("weather")
    return (folder, *write_recordings(folder, NOW_MS))


def rows(folder: Path, station: str) -> list[dict[str, str]]:
    with (folder / f"{station}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_year_ends_now_moved_by_whole_weeks(written: tuple[Path, Shift, int, int]) -> None:
    _, shift, first_ms, last_ms = written
    assert last_ms <= NOW_MS < last_ms + WEEK_MS
    assert first_ms - recorded_ms("2013-01-01T06:00:00+00:00") == shift.weeks * WEEK_MS
    assert last_ms == shift.moved(recorded_ms("2013-12-30T23:00:00+00:00"))


def test_every_row_is_there_in_canonical_units(written: tuple[Path, Shift, int, int]) -> None:
    folder, shift, _, _ = written
    assert [len(rows(folder, s)) for s in STATIONS] == [8703, 8706, 8706]
    first = rows(folder, "ewr")[0]  # 39.02 °F, 59.37 %, 1012 hPa in the package's first row
    assert int(first["at_ms"]) == shift.moved(recorded_ms("2013-01-01T06:00:00+00:00"))
    assert float(first["temperature_c"]) == pytest.approx(3.9, abs=1e-4)
    assert (first["humidity_pct"], first["pressure_pa"]) == ("59.37", "101200")


def test_what_was_not_recorded_stays_empty(written: tuple[Path, Shift, int, int]) -> None:
    empty = [row for station in STATIONS for row in rows(written[0], station)]
    assert sum(row["pressure_pa"] == "" for row in empty) == 935 + 831 + 963
    assert sum(row["temperature_c"] == "" for row in empty) == 1


def test_history_is_the_source_up_to_a_day_with_the_shifted_times(tmp_path: Path) -> None:
    shift, until_ms = Shift(52), recorded_ms("2013-09-01T00:00:00+00:00")
    values = write_history(tmp_path / "history.csv", shift, until_ms)
    with (tmp_path / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert history[0] == {
        "origin": "EWR",
        "time_hour": "2013-12-31T06:00:00Z",
        "temp": "39.02",
        "humid": "59.37",
        "pressure": "1012",
    }
    instants = [recorded_ms(row["time_hour"].replace("Z", "+00:00")) for row in history]
    assert max(instants) == shift.moved(until_ms) - 3_600_000
    for station in STATIONS:
        own = [row for row in station_rows(station) if row[0] < until_ms]
        assert len(own) == sum(row["origin"].lower() == station for row in history)
        assert values[station] == sum(text != "" for row in own for text in row[1:])
