"""Converts the times of a file to UTC.

Each distinct text is converted once by Python's own parsers: fifty sensors share their times, and
time zones have no faster complete implementation. Other modules handle arrays.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloud.importing.columns import Ints, coded
from cloud.importing.mapping import Ambiguous, TimeKeys

__all__ = ["AMBIGUOUS_TIME", "BAD_TIME", "NONEXISTENT_TIME", "NO_ZONE", "TimeReader"]

BAD_TIME = "bad_time"
NO_ZONE = "no_zone"
AMBIGUOUS_TIME = "ambiguous_time"
NONEXISTENT_TIME = "nonexistent_time"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_PER_MS = {"epoch_s": 1000.0, "epoch_ms": 1.0, "epoch_us": 1e-3, "epoch_ns": 1e-6}
_OFFSET = re.compile(r"(?:GMT|UTC)\s*(?:([+-])(\d{1,2}):?(\d{2})?)?")
_FAR_MS = 2**53  # an instant that no calendar has; an epoch may have any number of digits
_KEPT = 200_000  # texts whose instants are remembered, some 20 MB


class TimeReader:
    """Converts a file's column of times to ms since 1970 UTC.

    Args:
        keys: Section `[time]` of the mapping.
        column: Name of the column in the file, for zone `header`.
    """

    def __init__(self, keys: TimeKeys, column: str) -> None:
        self._keys = keys
        self._zone = _zone_of(keys.zone, column)
        self._shift_ms = round(keys.shift_s * 1000)
        self._known: dict[str, int | str] = {}
        self._parse: Callable[[str], datetime] = (
            datetime.fromisoformat
            if keys.format == "iso"
            else lambda text: datetime.strptime(text, keys.format)  # noqa: DTZ007  # zone: below
        )

    def read(self, column: pa.Array) -> tuple[Ints, dict[str, np.ndarray]]:
        """Returns the instants, and for each reason the rows that have none.

        Args:
            column: Texts, numbers for an epoch format, or timestamps.
        """
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return self._stamps(column)
        if self._keys.format in _PER_MS:
            return self._numbers(column)
        texts, codes = coded(column)
        return self._looked_up([self._instant(text) for text in texts], codes)

    def _stamps(self, column: pa.Array) -> tuple[Ints, dict[str, np.ndarray]]:
        zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
        exact = column.cast(pa.timestamp("ms", "UTC" if zoned else None), safe=False)
        values = exact.cast(pa.int64())
        if zoned:
            empty = values.is_null().to_numpy(zero_copy_only=False)
            at = values.fill_null(0).to_numpy().astype(np.int64) + self._shift_ms
            return at, {BAD_TIME: np.flatnonzero(empty)}
        texts, codes = coded(values)
        return self._looked_up([self._from_stamp(int(text)) for text in texts], codes)

    def _from_stamp(self, local_ms: int) -> int | str:
        try:
            return self._dated((_EPOCH + local_ms * _MS).replace(tzinfo=None))
        except OverflowError:  # before the year 1 or after 9999
            return BAD_TIME

    def _numbers(self, column: pa.Array) -> tuple[Ints, dict[str, np.ndarray]]:
        texts, codes = coded(column)
        return self._looked_up([self._from_epoch(text) for text in texts], codes)

    def _from_epoch(self, text: str) -> int | str:
        try:
            whole = _PER_MS[self._keys.format]
            # Whole numbers stay whole: a double has too few digits for nanoseconds.
            if whole <= 1 and text.lstrip("-").isdigit():
                return int(text) // round(1 / whole) + self._shift_ms
            return round(float(text) * whole) + self._shift_ms
        except (ValueError, OverflowError):
            return BAD_TIME

    def _looked_up(
        self, instants: list[int | str], codes: Ints
    ) -> tuple[Ints, dict[str, np.ndarray]]:
        """Returns the instant of each row; a text among the instants is the reason for none."""
        reasons = {value for value in instants if isinstance(value, str)} | {BAD_TIME}
        whole = [0 if isinstance(v, str) else max(-_FAR_MS, min(v, _FAR_MS)) for v in instants]
        table = np.array([*whole, 0], np.int64)
        why = {
            reason: np.flatnonzero(np.array([v == reason for v in instants] + [False])[codes])
            for reason in reasons
        }
        empty = np.flatnonzero(codes < 0)
        if len(empty):
            why[BAD_TIME] = np.union1d(why[BAD_TIME], empty)
        return table[codes], why

    def _instant(self, text: str) -> int | str:
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            try:
                known = self._dated(self._parse(text.strip()))
            except (ValueError, OverflowError):
                known = BAD_TIME
            self._known[text] = known
        return known

    def _dated(self, instant: datetime) -> int | str:
        if instant.tzinfo is None:
            if self._zone is None:
                return NO_ZONE
            if not isinstance(self._zone, timezone):
                reason = self._reason(instant)
                if reason:
                    return reason
                instant = instant.replace(fold=self._keys.ambiguous is Ambiguous.LATER)
            instant = instant.replace(tzinfo=self._zone)
        return (instant - _EPOCH) // _MS + self._shift_ms

    def _reason(self, instant: datetime) -> str:
        """Returns why a local time is not one instant; empty if it is."""
        first = instant.replace(tzinfo=self._zone, fold=0)
        offset, other = first.utcoffset(), first.replace(fold=1).utcoffset()
        if offset == other or offset is None or other is None:
            return ""
        if other > offset:
            return NONEXISTENT_TIME  # clocks are set forward over this time
        return AMBIGUOUS_TIME if self._keys.ambiguous is Ambiguous.REFUSE else ""


def _zone_of(zone: str | None, column: str) -> tzinfo | None:
    if zone is None:
        return None
    if zone != "header":
        return UTC if zone == "UTC" else ZoneInfo(zone)
    match = _OFFSET.search(column)
    if match is None:
        return None
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def joined(columns: list[pa.Array]) -> pa.Array:
    """Returns one column of times; several columns of texts are joined with a space."""
    if len(columns) == 1:
        return columns[0]
    return pc.binary_join_element_wise(*(c.cast(pa.string()) for c in columns), " ")
