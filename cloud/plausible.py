"""Decides which records are plausible, and sets the others aside with a reason. Pure.

A block may obey the contract and still have a time of the year 1 or 9999, or a record number near
2^53. Every projection leaves such records out by these functions, so all stores have the same
records. The lake keeps the bytes, and the quarantine names block, device and reason. The rule uses
only the block and the time when it was received, so a rebuild gives the same answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cloud.instants import shown_instant
from contract.blocks import Block, SensorColumns, TimedEvent
from contract.records import ClockFix, Event, Held, Loss, Reading, Record, Status

__all__ = [
    "AHEAD_MS",
    "FIRST_UTC_MS",
    "IMPLAUSIBLE_NUMBER",
    "IMPLAUSIBLE_TIME",
    "LARGEST_NUMBER",
    "NOTHING_SET_ASIDE",
    "SetAside",
    "plausible_instant",
    "plausible_number",
    "set_aside",
    "unaccountable",
]

# Gateways are Raspberry Pis. The first one was sold in 2012, so no gateway has measured earlier.
FIRST_UTC_MS = 1_325_376_000_000  # 2012-01-01T00:00:00Z
# A clock may be set to local time instead of UTC (up to 14 h ahead), but no further.
AHEAD_MS = 86_400_000
# A gateway with 1,000 records a second needs 31 years for so many numbers.
LARGEST_NUMBER = 10**12

IMPLAUSIBLE_TIME = "implausible_time"
IMPLAUSIBLE_NUMBER = "implausible_number"


def plausible_instant(at: int, received_at: int) -> bool:
    """Returns whether a record that was received at an instant may have the time `at`.

    Args:
        at: The record's time, ms since 1970 UTC.
        received_at: When ingest received the record's block, ms since 1970 UTC.
    """
    return FIRST_UTC_MS <= at <= received_at + AHEAD_MS


def plausible_number(number: int | None) -> bool:
    """Returns whether a stream can have so many records; true for None."""
    return number is None or number <= LARGEST_NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """The records of one block that are not plausible.

    Attributes:
        seqs: Numbers of these records.
        code: Stable name of the reason: `implausible_time` or `implausible_number`; empty if
            there are no such records.
        reason: Reason as text, with the first such record.
    """

    seqs: frozenset[int] = frozenset()
    code: str = ""
    reason: str = ""


NOTHING_SET_ASIDE = SetAside()


class _Fault(NamedTuple):
    """One record that is not plausible; `what` is its field, and `value` its content."""

    seq: int
    code: str
    what: str
    value: int


def set_aside(block: Block, received_at: int) -> SetAside:
    """Returns the records of a block that every projection leaves out.

    Args:
        block: The block.
        received_at: When ingest received the block, ms since 1970 UTC.
    """
    if not plausible_number(block.last):
        fault = _Fault(block.first, IMPLAUSIBLE_NUMBER, "last number of its block", block.last)
        every = frozenset(range(block.first, block.last + 1))
        return _named(every, fault, received_at)
    faults = list(_faults(block, received_at))
    if not faults:
        return NOTHING_SET_ASIDE
    return _named(frozenset(fault.seq for fault in faults), faults[0], received_at)


def unaccountable(record: Record) -> bool:
    """Returns whether a record states record numbers that are not plausible."""
    return not isinstance(record, Reading) and _number(record) is not None


def _faults(block: Block, received_at: int) -> Iterator[_Fault]:
    seq = block.first
    for sensor in block.sensors:
        yield from _of_readings(block, sensor, seq, received_at)
        seq += sensor.readings_total
    for timed in block.events:
        fault = _of_event(block, timed, seq, received_at)
        if fault is not None:
            yield fault
        seq += 1


def _of_readings(
    block: Block, sensor: SensorColumns, first: int, received_at: int
) -> Iterator[_Fault]:
    ends = [block.observed_at(offset) for offset in (sensor.offsets_ms[0], sensor.offsets_ms[-1])]
    # The offsets are ascending, so that the ends decide for almost every block.
    if all(at is None or plausible_instant(at, received_at) for at in ends):
        return
    rows_total = len(sensor.offsets_ms)
    for row, offset_ms in enumerate(sensor.offsets_ms):
        at = block.observed_at(offset_ms)
        if at is not None and not plausible_instant(at, received_at):
            for series in range(len(sensor.series)):
                yield _Fault(first + series * rows_total + row, IMPLAUSIBLE_TIME, "time", at)


def _of_event(block: Block, timed: TimedEvent, seq: int, received_at: int) -> _Fault | None:
    number = _number(timed.event)
    if number is not None:
        return _Fault(seq, IMPLAUSIBLE_NUMBER, *number)
    for name, at in (("time", block.observed_at(timed.offset_ms)), *_instants(timed.event)):
        if at is not None and not plausible_instant(at, received_at):
            return _Fault(seq, IMPLAUSIBLE_TIME, name, at)
    return None


def _instants(event: Event) -> tuple[tuple[str, int | None], ...]:
    if isinstance(event, ClockFix):
        return (("utc_at", event.utc_at),)
    if isinstance(event, Loss):
        return (("from_at", event.from_at), ("to_at", event.to_at))
    return ()


def _number(event: Event) -> tuple[str, int] | None:
    """Returns the name and the value of an event's first number that is not plausible."""
    for name, number in _numbers(event):
        if number is not None and not plausible_number(number):
            return name, number
    return None


def _numbers(event: Event) -> Iterator[tuple[str, int | None]]:
    if isinstance(event, Held):
        for span in event.spans:
            yield "held number", span.last
    elif isinstance(event, Loss):
        yield "lost number", None if event.lost is None else event.lost.last
        yield "estimated_total", event.estimated_total
    elif isinstance(event, Status):
        yield "previous_last", event.previous_last


def _named(seqs: frozenset[int], first: _Fault, received_at: int) -> SetAside:
    is_time = first.code == IMPLAUSIBLE_TIME
    shown = shown_instant(first.value) if is_time else str(first.value)
    allowed = (
        f"expected {shown_instant(FIRST_UTC_MS)} to one day after {shown_instant(received_at)}, "
        "when it was received"
        if is_time
        else f"expected at most {LARGEST_NUMBER}"
    )
    records = "1 record" if len(seqs) == 1 else f"{len(seqs)} records"
    reason = f"{first.code}: {records} set aside, first number {first.seq}: {first.what} {shown}"
    return SetAside(seqs=seqs, code=first.code, reason=f"{reason}, {allowed}")
