"""Formats the ledger for people and programs: one line per stream, totals, notes. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cloud.instants import shown_instant, shown_span
from cloud.ledger.account import DeviceAccount, Fork, ForkKind, StreamAccount
from cloud.ledger.facts import LossFact
from cloud.ledger.spans import count, shown

__all__ = [
    "StreamLine",
    "Summary",
    "Totals",
    "as_json",
    "fork_text",
    "notes",
    "stop_text",
    "summary",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLine:
    """One stream in the table; `blocks` and `repeated` count blocks, the others count records."""

    device: str
    stream: str
    first_at: int | None
    last_at: int | None
    stored: int
    lost: int
    held: int
    unexplained: int
    doubled: int
    blocks: int
    repeated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all streams; `forks` and `unclean_stops` are sums over all devices."""

    stored: int = 0
    lost: int = 0
    held: int = 0
    unexplained: int = 0
    doubled: int = 0
    blocks: int = 0
    repeated: int = 0
    forks: int = 0
    unclean_stops: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole table."""

    lines: tuple[StreamLine, ...]
    totals: Totals
    by_kind: tuple[tuple[str, int], ...]

    @property
    def sound(self) -> bool:
        """Whether no number is unexplained or doubled."""
        return not self.totals.unexplained and not self.totals.doubled


def summary(accounts: Sequence[DeviceAccount]) -> Summary:
    """Computes the table of these accounts."""
    streams = [stream for device in accounts for stream in device.streams]
    lines = tuple(_line(stream) for stream in streams)
    sums = {
        f.name: sum(getattr(line, f.name) for line in lines)
        for f in fields(Totals)
        if f.name not in ("forks", "unclean_stops")
    }
    kinds: dict[str, int] = {}
    for stream in streams:
        for kind, total in stream.tally.totals if stream.tally else ():
            kinds[kind.value] = kinds.get(kind.value, 0) + total
    totals = Totals(
        **sums,
        forks=sum(len(d.forks) for d in accounts),
        unclean_stops=sum(len(d.unclean_stops) for d in accounts),
    )
    return Summary(lines=lines, totals=totals, by_kind=tuple(sorted(kinds.items())))


def _line(stream: StreamAccount) -> StreamLine:
    tally = stream.tally
    return StreamLine(
        device=stream.device_id,
        stream=stream.stream_id,
        first_at=tally.first_at if tally else None,
        last_at=tally.last_at if tally else None,
        stored=count(stream.stored),
        lost=count(stream.lost),
        held=count(stream.held),
        unexplained=stream.unexplained_total,
        doubled=stream.doubled_total,
        blocks=tally.blocks_total if tally else 0,
        repeated=tally.repeated_total if tally else 0,
    )


def notes(accounts: Iterable[DeviceAccount], now: int) -> list[str]:
    """Returns notes on gaps with their numbers, conflicts, forks, unclean stops and ages of Held.

    Args:
        accounts: The accounts of the table.
        now: Current time for ages, ms since 1970 UTC.
    """
    lines = []
    for device in accounts:
        lines += [_gap(stream) for stream in device.streams if stream.unexplained]
        lines += [_conflicts(stream) for stream in device.streams if stream.doubled_total]
        lines += [f"{device.device_id}: {fork_text(fork)}" for fork in device.forks]
        lines += [f"{device.device_id}: {stop_text(stop)}" for stop in device.unclean_stops]
        if device.held_told_at is not None and any(s.held for s in device.streams):
            age = shown_span(now - device.held_told_at)
            lines.append(
                f"{device.device_id}: the Held record about its backlog was received {age} ago"
            )
        if device.held_truncated:
            lines.append(
                f"{device.device_id}: its Held record is truncated, so more numbers are held"
            )
    return lines


def _gap(stream: StreamAccount) -> str:
    return f"{stream.device_id}: stream {stream.stream_id}: unexplained {shown(stream.unexplained)}"


def _conflicts(stream: StreamAccount) -> str:
    conflicts = stream.tally.conflicts if stream.tally else ()
    named = "; ".join(
        f"{shown((c.numbers,))} in {c.winner} (received first) and {c.loser}" for c in conflicts
    )
    return f"{stream.device_id}: stream {stream.stream_id}: doubled {named}"


def fork_text(fork: Fork) -> str:
    """Describes a fork in one sentence."""
    if fork.kind is ForkKind.TWO_SUCCESSORS:
        return (
            f"fork: stream {fork.stream_id} was continued by {' and '.join(fork.successors)}: "
            "a copy of the gateway's outbox was started"
        )
    if fork.kind is ForkKind.OVERLAP:
        return (
            f"fork: streams {fork.stream_id} and {fork.successors[0]} ran at the same time: "
            "two gateways use this device id"
        )
    return (
        f"fork: stream {fork.stream_id} was continued by {fork.successors[0]} from number "
        f"{fork.claimed_last}, but {fork.stored_last} is stored: "
        "an older copy of the gateway's outbox was started"
    )


def stop_text(stop: LossFact) -> str:
    """Describes an unclean stop in one sentence."""
    return (
        f"{stop.reason.value} reported by stream {stop.origin.stream_id}: "
        f"{shown_instant(stop.from_at)} to {shown_instant(stop.to_at)}, "
        f"about {stop.estimated_total or 0} readings were never committed"
    )


def as_json(accounts: Sequence[DeviceAccount], as_of: int, more_notes: Iterable[str] = ()) -> str:
    """Returns the table, the notes (`more_notes` last) and the kinds as one JSON document."""
    table = summary(accounts)
    document = {
        "as_of": shown_instant(as_of),
        "streams": [_line_table(line) for line in table.lines],
        "totals": _table(table.totals),
        "records_by_kind": dict(table.by_kind),
        "notes": [*notes(accounts, as_of), *more_notes],
        "sound": table.sound,
    }
    return json.dumps(document, indent=2)


def _line_table(line: StreamLine) -> dict[str, Any]:
    times = {name: getattr(line, name) for name in ("first_at", "last_at")}
    shown_times = {
        name: shown_instant(at) if at is not None else None for name, at in times.items()
    }
    return _table(line) | shown_times


def _table(value: StreamLine | Totals) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}
