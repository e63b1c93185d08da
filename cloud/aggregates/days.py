"""Finds the days that must be summarized again after readings of some days have changed. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from cloud.aggregates.bins import Frame

__all__ = ["DAY_MS", "Due", "Part", "local_frames", "parts_of", "utc_frame"]

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_DAYS_AT_ONCE = 31  # of one device in one worker's memory


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A UTC day of one device whose readings have changed."""

    device_id: str
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Days of one device that are summarized together.

    Attributes:
        device_id: The device.
        number: Number of the part, from 0 in each device.
        due: UTC days whose readings have changed, ascending.
        zone: Time zone of the device's site; None without a site.
        reach_ms: Longest time over which a reading affects the steps of a condition, ms; 0 without
            conditions.
    """

    device_id: str
    number: int
    due: tuple[date, ...]
    zone: str | None
    reach_ms: int

    def utc_frames(self) -> list[Frame]:
        """Return the UTC days to summarize."""
        return [utc_frame(day) for day in self.due]

    def local_frames(self) -> list[Frame]:
        """Return the local days of the site to summarize; none without a site."""
        if self.zone is None:
            return []
        zone = ZoneInfo(self.zone)
        found = {frame.day: frame for day in self.due for frame in local_frames(day, zone)}
        return [found[day] for day in sorted(found)]

    def condition_frames(self) -> list[Frame]:
        """Return the UTC days whose conditions to summarize.

        A step depends on readings of the day before, and a step that no reading completed is known
        only from a reading of the day after.
        """
        if not self.reach_ms:
            return []
        around = range(-self._reach_days, self._reach_days + 1)
        days = {day + timedelta(days=n) for day in self.due for n in around}
        return [utc_frame(day) for day in sorted(days)]

    def needed(self) -> tuple[date, ...]:
        """Return the UTC days whose readings are needed, ascending."""
        spans = [(f.begin_ms, f.end_ms) for f in (*self.utc_frames(), *self.local_frames())]
        reach = self.reach_ms
        spans += [(f.begin_ms - reach, f.end_ms + reach) for f in self.condition_frames()]
        return tuple(sorted({day for span in spans for day in _days(*span)}))

    @property
    def _reach_days(self) -> int:
        return -(-self.reach_ms // DAY_MS)


def utc_frame(day: date) -> Frame:
    """Return a UTC day as a frame."""
    begin_ms = (day - _EPOCH).days * DAY_MS
    return Frame(day, begin_ms, begin_ms + DAY_MS)


def local_frames(day: date, zone: ZoneInfo) -> Iterator[Frame]:
    """Yield the local days that overlap a UTC day."""
    whole = utc_frame(day)
    first, last = (_local_day(at, zone) for at in (whole.begin_ms, whole.end_ms - 1))
    for number in range((last - first).days + 1):
        local = first + timedelta(days=number)
        ends = (_midnight_ms(local + timedelta(days=n), zone) for n in (0, 1))
        yield Frame(local, *ends)


def parts_of(dues: Iterable[Due], zones: Mapping[str, str], reach_ms: int) -> list[Part]:
    """Return the due days of each device in parts of at most 31 days.

    Args:
        dues: Changed days.
        zones: Time zone of each device that has a site.
        reach_ms: Longest reach of the conditions' steps, ms.
    """
    found: list[Part] = []
    for device_id, own in groupby(sorted(set(dues)), key=lambda due: due.device_id):
        days = [due.day for due in own]
        found += (
            Part(
                device_id=device_id,
                number=number,
                due=tuple(chunk),
                zone=zones.get(device_id),
                reach_ms=reach_ms,
            )
            for number, chunk in enumerate(_chunks(days))
        )
    return found


def _chunks(days: Sequence[date]) -> Iterator[Sequence[date]]:
    for start in range(0, len(days), _DAYS_AT_ONCE):
        yield days[start : start + _DAYS_AT_ONCE]


def _days(begin_ms: int, end_ms: int) -> Iterator[date]:
    for number in range(begin_ms // DAY_MS, (end_ms - 1) // DAY_MS + 1):
        yield _EPOCH + timedelta(days=number)


def _local_day(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).astimezone(zone).date()


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    # Where clocks change at midnight, a local midnight may be missing or come twice. The first
    # instant that has this date is the day's begin in both cases.
    return round(datetime.combine(day, time(), tzinfo=zone).timestamp() * 1000)
