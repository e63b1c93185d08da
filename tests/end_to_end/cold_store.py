"""Makes a year of a cold store's logger: cooling, defrosting, doors, and mornings of deliveries."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

__all__ = ["write_year"]

ZONE = ZoneInfo("Europe/Berlin")
STEP = timedelta(minutes=15)
YEAR = 2025
SET_POINT_C = 4.0
DECAY = 0.82  # of warm air, in a step


def write_year(path: Path, seed: int = 1) -> int:
    """Writes the year with one row each quarter of an hour; returns the number of values."""
    source, values, warm_k = random.Random(seed), 0, 0.0
    at = datetime(YEAR, 1, 1, tzinfo=ZONE)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(("Date", "Time", "Room 1", "State"))
        while at.year == YEAR:
            opened_k = _opened_k(source, at)
            warm_k = warm_k * DECAY + opened_k
            room_c = SET_POINT_C + source.gauss(0.0, 0.3) + _defrost_k(at) + warm_k
            text = "---" if source.random() < 0.002 else f"{room_c:.1f}".replace(".", ",")
            values += text != "---"
            state = "door" if opened_k > 1.0 else "ok"
            writer.writerow((at.strftime("%d.%m.%Y"), at.strftime("%H:%M"), text, state))
            at = (at.astimezone(ZoneInfo("UTC")) + STEP).astimezone(ZONE)
    return values


def _opened_k(source: random.Random, at: datetime) -> float:
    """Warm air through the door in this step; more in summer, and with a delivery."""
    summer = 1.0 + 0.6 * max(0.0, 1.0 - abs(at.timetuple().tm_yday - 200) / 90)
    if at.weekday() in (1, 4) and at.hour == 7 and source.random() < 0.5:
        return summer * source.uniform(0.8, 2.2)
    busy = at.weekday() < 6 and 6 <= at.hour < 18
    return summer * source.uniform(0.0, 1.2) if busy and source.random() < 0.2 else 0.0


def _defrost_k(at: datetime) -> float:
    return 1.5 if at.hour % 8 == 2 and at.minute < 30 else 0.0
