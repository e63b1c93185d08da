"""Counts rows and values that are not imported, by reason, with the lines of the first ones."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cloud.importing.columns import Ints

__all__ = ["REASONS", "Refusals", "Refused"]

_NAMED = 5  # lines and texts that are kept of each reason
_TEXT = 80

REASONS = {
    "ambiguous_time": "a local time that occurs twice, because clocks are set back",
    "bad_quality": "the quality is not in `[quality.values]`",
    "bad_row": "the row cannot be read, or has another number of columns than the header",
    "bad_time": "the time is empty or not in the declared format",
    "bad_unit": "the unit is not a known unit of the quantity",
    "conflict": "another value of the same series and time came before",
    "implausible_time": "the time is before 2012, or more than a day after the import",
    "no_device": "the device is empty",
    "no_sensor": "the sensor is empty",
    "no_zone": "the time has no offset from UTC, and the mapping has no zone",
    "nonexistent_time": "a local time that does not exist, because clocks are set forward",
    "not_a_number": "the value is not a number",
    "not_mapped": "the text is not in `[device.values]`, `[sensor.values]` or `[signal.values]`",
    "repeated": "the same value of the same series and time came before",
    "too_large": "the value has too many digits for a block",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What was refused for one reason.

    Attributes:
        reason: Name of the reason.
        total: Number of rows; for a fault of a value, of values.
        lines: The first lines.
        text: The text of the first one; empty if it is not known.
    """

    reason: str
    total: int
    lines: tuple[int, ...]
    text: str = ""


class Refusals:
    """Counts refusals."""

    def __init__(self) -> None:
        self._found: dict[str, Refused] = {}

    def add(self, reason: str, lines: Ints | Iterable[int], text: str = "") -> None:
        """Counts lines that were refused for a reason; `text` is that of the first one."""
        new = np.asarray(lines, np.int64)
        if not len(new):
            return
        known = self._found.get(reason) or Refused(reason=reason, total=0, lines=())
        first = (*known.lines, *(int(n) for n in np.unique(new)[:_NAMED]))
        self._found[reason] = Refused(
            reason=reason,
            total=known.total + len(new),
            lines=tuple(dict.fromkeys(first))[:_NAMED],
            text=known.text or text[:_TEXT],
        )

    def all(self) -> tuple[Refused, ...]:
        """Returns one item for each reason, the most frequent first."""
        return tuple(sorted(self._found.values(), key=lambda r: (-r.total, r.reason)))
