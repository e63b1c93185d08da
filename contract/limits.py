"""Limits a block, so that the time to decode a payload is in proportion to its size.

A gateway never reaches these limits: `edge.storage.journal` begins another block before. The cloud
refuses a new block beyond them. A block that is in the lake already may exceed them, because the
lake has accepted larger blocks before.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.errors import ContractError
from contract.records import Alert, Event, Held

__all__ = ["NEW", "STORED", "Counts", "Limits", "check_structure", "counts_of", "parts_of"]

_TO_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one block.

    Attributes:
        records: Readings and events.
        sensors: Items of `sensors`.
        series: Series of all sensors together.
        events: Items of `events`.
        parts: Spans and receipts of all events together.
        lists: Tables and lists in the document.
        depth: Tables and lists in each other; the document's own table is the first.
        document_bytes: The inflated document of any payload.
        small_document_bytes: The inflated document, together with `inflation`.
        inflation: Further bytes of the document for each byte of the payload.
    """

    records: int
    sensors: int = sys.maxsize
    series: int = sys.maxsize
    events: int = sys.maxsize
    parts: int = sys.maxsize
    lists: int = sys.maxsize
    depth: int = sys.maxsize
    document_bytes: int = 4_194_304
    small_document_bytes: int = 4_194_304
    inflation: int = 0

    def document_bytes_of(self, payload_bytes: int) -> int:
        """Returns the limit of the document in a payload of so many bytes."""
        return min(self.document_bytes, self.small_document_bytes + self.inflation * payload_bytes)


STORED = Limits(records=65_536)
NEW = Limits(
    records=16_384,
    sensors=256,
    series=1_024,
    events=1_024,
    parts=1_024,
    lists=32_768,
    depth=32,
    small_document_bytes=163_840,
    inflation=20,
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts what a document contains, before its fields are checked.

    Attributes:
        records: Readings and events; None if columns are incomplete or missing.
        sensors: Items of `sensors`.
        series: Series of all sensors together.
        events: Items of `events`.
        parts: Spans and receipts of all events together.
    """

    records: int | None
    sensors: int
    series: int
    events: int
    parts: int

    def check(self, limits: Limits) -> None:
        """Compares with the limits.

        Raises:
            ContractError: `bad_size`.
        """
        if self.records is not None and self.records > limits.records:
            raise ContractError(
                "bad_size", f"block: {self.records} records, expected 1 to {limits.records}"
            )
        for what, found, most in (
            ("sensors", self.sensors, limits.sensors),
            ("series", self.series, limits.series),
            ("events", self.events, limits.events),
            ("spans and receipts", self.parts, limits.parts),
        ):
            if found > most:
                raise ContractError("bad_size", f"block: {found} {what}, at most {most}")


def counts_of(document: Mapping[str, Any]) -> Counts:
    """Returns the counts of a parsed document of any shape; a wrong shape counts as nothing."""
    sensors, events = document.get("sensors", ()), document.get("events", ())
    complete = isinstance(sensors, list | tuple) and isinstance(events, list | tuple)
    if not complete:
        return Counts(None, _length(sensors), 0, _length(events), 0)
    series_total = readings = 0
    for sensor in sensors:
        series, readings_of = _shape_of(sensor)
        series_total += series
        readings += readings_of
        complete = complete and readings_of > 0
    parts = sum(map(_parts_of, events)) if events else 0
    records = readings + len(events) if complete else None
    return Counts(records, len(sensors), series_total, len(events), parts)


def _shape_of(sensor: Any) -> tuple[int, int]:
    """Returns the number of series and of readings; no readings if the columns are not full."""
    try:
        series, numbers = _length(sensor["series"]), _length(sensor["data"])
    except (TypeError, LookupError):
        return 0, 0
    rows, rest = divmod(numbers, 1 + series)
    return series, 0 if rest else series * rows


def _parts_of(event: Any) -> int:
    try:
        table = event[2]
        if "spans" not in table and "receipts" not in table:  # nearly always
            return 0
        return _length(table.get("spans")) + _length(table.get("receipts"))
    except (TypeError, LookupError, AttributeError):
        return 0


def parts_of(event: Event) -> int:
    """Returns the number of spans and receipts in an event."""
    if isinstance(event, Held):
        return len(event.spans)
    return len(event.receipts) if isinstance(event, Alert) else 0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def check_structure(document: bytes, limits: Limits) -> None:
    """Checks how many tables and lists a JSON text has, and how deep they are in each other.

    Raises:
        ContractError: `bad_size` or `bad_json`.
    """
    if document.count(b"[") + document.count(b"{") <= min(limits.depth, limits.lists):
        return
    unescaped = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(unescaped.split(b'"')[::2])  # of texts, which may contain brackets too
    brackets = outside.translate(_TO_LISTS, _NO_BRACKETS)
    opened = brackets.count(b"[")
    if opened > limits.lists:
        raise ContractError("bad_size", f"document: {opened} lists, at most {limits.lists}")
    for _ in range(min(limits.depth, opened)):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")  # the innermost ones
    if brackets:
        raise ContractError("bad_json", "document is nested too deeply")
