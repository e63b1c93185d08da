"""Writes and parses the JSON document of a block.

The parser ignores unknown fields. It refuses an unknown schema, kind or quantity and a wrong unit:
guessing would store wrong numbers, while the cloud quarantines refused bytes and keeps them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import accumulate, pairwise
from typing import Annotated, Any

from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent, kind_of
from contract.errors import ContractError
from contract.limits import NEW, Limits, counts_of
from contract.marks import parse_marks
from contract.quantities import Quantity
from contract.records import EVENT_TYPES, Event, Statistic
from contract.typed import (
    LARGEST,
    LATEST_UTC_MS,
    Between,
    Id,
    Seq,
    StreamId,
    UtcMs,
    build,
    pattern_of,
    plain,
)

__all__ = ["SCHEMA", "Header", "document_of", "parse_document", "parse_header"]

SCHEMA = 1
MAX_DECIMALS = 9

_QUANTITIES = {quantity.value: quantity for quantity in Quantity}
_SERIES = {
    (quantity.value, quantity.facts.unit, decimals): Series(quantity, decimals)
    for quantity in Quantity
    for decimals in range(MAX_DECIMALS + 1)
}
_EVENTS: dict[str, type[Event]] = {kind.value: cls for cls, kind in EVENT_TYPES.items()}

Document = Mapping[str, Any]
Offset = Annotated[int, Between(0, LARGEST)]


def document_of(block: Block) -> dict[str, Any]:
    """Returns the block as a JSON-ready table, its keys in the order of the preset dictionary."""
    at = [block.offset_ms] if block.utc_at is None else [block.offset_ms, block.utc_at]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "clock": block.clock.value,
        "stream": block.stream_id,
        "first": block.first,
        "at": at,
    }
    if block.sensors:
        document["sensors"] = [_sensor_table(s, block.offset_ms) for s in block.sensors]
    if block.events:
        document["events"] = [
            [kind_of(e.event).value, e.offset_ms - block.offset_ms, plain(e.event)]
            for e in block.events
        ]
    return document


def _sensor_table(sensor: SensorColumns, offset_ms: int) -> dict[str, Any]:
    data: list[int | None] = [b - a for a, b in pairwise((offset_ms, *sensor.offsets_ms))]
    for column in sensor.columns:
        data += column
    table: dict[str, Any] = {
        "sensor": sensor.sensor_id,
        "series": [[s.quantity.value, s.quantity.facts.unit, s.decimals] for s in sensor.series],
        "data": data,
    }
    if sensor.marks:
        table["marks"] = [
            [m.series, m.row, m.quality.value, [f.value for f in m.flags]] for m in sensor.marks
        ]
    extras = _Extras(
        calibration=sensor.calibration,
        statistic=sensor.statistic,
        span_s=sensor.span_s,
        counts=sensor.counts,
    )
    return table | plain(extras)  # type: ignore[no-any-return]  # plain of a dataclass is a dict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begin:
    stream: StreamId
    first: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    stream: StreamId
    first: Seq
    at: tuple[Annotated[int, Between(-LARGEST, LARGEST)], ...]
    clock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extras:
    calibration: Id | None = None
    statistic: Statistic | None = None
    span_s: Annotated[float, Between(0, 1e9)] | None = None
    counts: tuple[Offset, ...] = ()


_IS_ID = re.compile(pattern_of(Id).regex).fullmatch
_EXTRA_KEYS = frozenset(field.name for field in fields(_Extras))
_NO_EXTRAS = _Extras()
_NO_MARKS: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    offset_ms: Offset
    utc_at: UtcMs | None = None


_AT = tuple(field.name for field in fields(_At))


@dataclass(frozen=True, slots=True)
class Header:
    """Names a block: its stream, and its first and last record number."""

    stream_id: str
    first: int
    last: int


def parse_header(document: object, limits: Limits = NEW) -> Header:
    """Returns the header of a parsed JSON document, without a check of each field.

    Raises:
        ContractError: The document has no header or exceeds the limits.
    """
    table = _table_of(document)
    counts = counts_of(table)
    counts.check(limits)
    begin = build(_Begin, table, "block", ignore_unknown=True)
    if counts.records is None:
        raise ContractError("bad_columns", "block: numbers do not fill the columns")
    _check_records(counts.records, begin.first, limits)
    return Header(begin.stream, begin.first, begin.first + counts.records - 1)


def parse_document(document: object, limits: Limits = NEW) -> Block:
    """Returns the block that a parsed JSON document describes.

    Args:
        document: The result of a JSON parser.
        limits: `NEW`, or `STORED` for a block that the lake has accepted.

    Raises:
        ContractError: `bad_schema`, `bad_field`, `bad_unit`, `bad_quantity`, `bad_kind`,
            `bad_columns` or `bad_size`, with the path in the document.
    """
    table = _table_of(document)
    counts_of(table).check(limits)
    head = build(_Head, table, "block", ignore_unknown=True)
    at = _parse_at(head)
    block = Block(
        stream_id=head.stream,
        first=head.first,
        offset_ms=at.offset_ms,
        utc_at=at.utc_at,
        sensors=tuple(_sensors(_list(table, "sensors", "block"), at.offset_ms)),
        events=tuple(_events(_list(table, "events", "block"), at.offset_ms)),
    )
    _check_records(block.records_total, block.first, limits)
    _check_latest(block)
    return block


def _table_of(document: object) -> Document:
    if not isinstance(document, Mapping):
        raise ContractError("bad_field", "the document is not a table")
    if document.get("schema") != SCHEMA or type(document["schema"]) is not int:
        found = repr(document.get("schema"))[:40]
        raise ContractError("bad_schema", f"schema: expected {SCHEMA}, found {found}")
    return document


def _check_records(records: int, first: int, limits: Limits) -> None:
    if not 1 <= records <= limits.records or first + records - 1 > LARGEST:
        raise ContractError("bad_size", f"block: {records} records, expected 1 to {limits.records}")


def _check_latest(block: Block) -> None:
    offsets = [s.offsets_ms[-1] for s in block.sensors] + [e.offset_ms for e in block.events]
    instant = block.observed_at(max(offsets))
    if instant is not None and instant > LATEST_UTC_MS:  # later dates do not fit into the stores
        raise ContractError("bad_field", "block: a time is later than the year 9999")


def _parse_at(head: _Head) -> _At:
    if head.clock == "synced" and len(head.at) == 2:
        offset_ms, utc_at = head.at
        if 0 <= offset_ms <= LARGEST and 0 <= utc_at <= LATEST_UTC_MS:  # nearly always
            return _At(offset_ms=offset_ms, utc_at=utc_at)
    wanted = {"synced": 2, "unsynced": 1}.get(head.clock)
    if wanted is None or len(head.at) != wanted:
        raise ContractError(
            "bad_field",
            "block: at: expected [offset, UTC] if clock is synced, [offset] if clock is unsynced",
        )
    return build(_At, dict(zip(_AT, head.at, strict=False)), "block: at")


def _list(document: Document, key: str, where: str) -> list[Any]:
    items = document.get(key, [])
    if not isinstance(items, list):
        raise ContractError("bad_field", f"{where}: {key}: expected a list")
    return items


def _sensors(tables: list[Any], offset_ms: int) -> list[SensorColumns]:
    return [_sensor(t, offset_ms, f"sensors[{i}]") for i, t in enumerate(tables)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    sensor: Id


def _sensor(table: Any, offset_ms: int, where: str) -> SensorColumns:
    sensor_id = _sensor_id(table, where)
    series = tuple([_series(item, where) for item in _list(table, "series", where)])
    data = _list(table, "data", where)
    if not series or not data or len(data) % (1 + len(series)):
        raise ContractError(
            "bad_columns", f"{where}: {len(data)} numbers do not fill {1 + len(series)} columns"
        )
    rows = len(data) // (1 + len(series))
    offsets = _offsets(data[:rows], offset_ms, where)
    columns = tuple([tuple(data[i : i + rows]) for i in range(rows, len(data), rows)])
    marks = _NO_MARKS
    if "marks" in table or not _are_whole(data):  # a null needs a mark
        marks = parse_marks(_list(table, "marks", where), columns, where)
    extras = _extras(table, where)
    if extras.counts and len(extras.counts) != rows:
        raise ContractError("bad_columns", f"{where}: {len(extras.counts)} counts for {rows} rows")
    return SensorColumns(
        sensor_id=sensor_id,
        series=series,
        offsets_ms=offsets,
        columns=columns,
        marks=marks,
        calibration=extras.calibration,
        statistic=extras.statistic,
        span_s=extras.span_s,
        counts=extras.counts,
    )


def _sensor_id(table: Any, where: str) -> str:
    if type(table) is dict:
        sensor_id = table.get("sensor")
        if type(sensor_id) is str and _IS_ID(sensor_id):
            return sensor_id
    return build(_Named, table, where, ignore_unknown=True).sensor


def _extras(table: Document, where: str) -> _Extras:
    if _EXTRA_KEYS.isdisjoint(table):  # nearly always
        return _NO_EXTRAS
    return build(_Extras, table, where, ignore_unknown=True)


def _series(item: Any, where: str) -> Series:
    try:
        quantity, unit, decimals = item[:3]
        known = _SERIES.get((quantity, unit, decimals))
    except (TypeError, ValueError, LookupError):
        known = None
    if known is not None and type(item) is list and type(item[2]) is int:  # True and 1.0 equal 1
        return known
    raise _series_error(item, where)


def _series_error(item: Any, where: str) -> ContractError:
    is_named = isinstance(item, list) and len(item) > 2 and isinstance(item[0], str)
    quantity = _QUANTITIES.get(item[0]) if is_named else None
    if quantity is None:
        known = ", ".join(Quantity)
        return ContractError(
            "bad_quantity", f"{where}: unknown series {repr(item)[:60]}; known quantities: {known}"
        )
    unit, expected = item[1], quantity.facts.unit
    if unit != expected:
        return ContractError(
            "bad_unit", f"{where}: {quantity}: expected unit {expected}, found {repr(unit)[:30]}"
        )
    return ContractError(
        "bad_field",
        f"{where}: decimals: expected 0 to {MAX_DECIMALS}, found {repr(item[2])[:30]}",
    )


def _offsets(differences: list[Any], offset_ms: int, where: str) -> tuple[int, ...]:
    if set(map(type, differences)) != {int} or min(differences) < 0:
        raise ContractError("bad_columns", f"{where}: times must be whole differences >= 0")
    offsets = tuple(accumulate(differences, initial=offset_ms))[1:]
    if offsets[-1] > LARGEST:
        raise ContractError("bad_columns", f"{where}: a time is larger than 2^53 - 1")
    return offsets


def _are_whole(numbers: list[Any]) -> bool:
    """Returns whether all are whole numbers within the limits, as nearly always."""
    are_ints = set(map(type, numbers)) == {int}
    return are_ints and min(numbers) >= -LARGEST and max(numbers) <= LARGEST


def _events(items: list[Any], offset_ms: int) -> list[TimedEvent]:
    return [_event(item, offset_ms, f"events[{i}]") for i, item in enumerate(items)]


def _event(item: Any, offset_ms: int, where: str) -> TimedEvent:
    if not isinstance(item, list) or len(item) < 3 or type(item[1]) is not int:
        raise ContractError("bad_field", f"{where}: expected [kind, offset, fields]")
    name, difference, table = item[:3]
    event_type = _EVENTS.get(name) if isinstance(name, str) else None
    if event_type is None:
        known = ", ".join(_EVENTS)
        raise ContractError(
            "bad_kind", f"{where}: unknown kind {repr(name)[:30]}; known kinds: {known}"
        )
    if not 0 <= difference <= LARGEST - offset_ms:
        raise ContractError("bad_field", f"{where}: offset {repr(difference)[:30]} is out of range")
    event = build(event_type, table, f"{where} {name}", ignore_unknown=True)
    return TimedEvent(offset_ms + difference, event)
