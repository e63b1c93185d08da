"""Parses and formats instants for people: RFC 3339, UTC. In memory they are ms since 1970."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from contract.errors import ConfigError

__all__ = ["LAST_INSTANT", "parse_instant", "shown_instant", "shown_span"]

LAST_INSTANT = 253_402_300_799_999  # the year 9999 ends
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def parse_instant(text: str) -> int:
    """Parses an RFC 3339 instant to milliseconds since 1970 UTC.

    Raises:
        ConfigError: The text is not RFC 3339, or has no offset from UTC.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not an instant like 2013-07-15T00:00:00Z") from error
    if instant.tzinfo is None:
        raise ConfigError(f"{text!r} has no offset from UTC: add Z, or +02:00")
    return (instant - _EPOCH) // _MS


def shown_instant(at: int | None) -> str:
    """Formats as RFC 3339 with `Z`, with milliseconds only if they are not 0; `-` for None."""
    if at is None:
        return "-"
    instant = (_EPOCH + at * _MS).replace(tzinfo=None)
    return instant.isoformat(timespec="milliseconds" if at % 1000 else "seconds") + "Z"


def shown_span(span_ms: int) -> str:
    """Formats a duration for people: `3 d 4 h`, `5 h 12 min`, `12 min 3 s`, `3 s`."""
    seconds = max(span_ms, 0) // 1000
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for (name, size), (below, smaller) in pairwise(units):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{seconds} s"
