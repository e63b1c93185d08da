"""Decides which records are too old for Elasticsearch, and deletes the indices that hold only them.

Indices are deleted as a whole, so a record is retired when its whole period is too old: its day or
month for readings and forecasts, its year for all other kinds. Records without a time are never
retired, and neither are ClockFixes: records that arrive later need them. The lake keeps everything.
"""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from cloud.clock import Clock
from cloud.config import Period
from cloud.search.documents import BlockContext
from cloud.search.names import IndexNames
from contract.blocks import Block, kind_of
from contract.records import Kind

__all__ = ["DailyRetirement", "IndexStore", "Kept", "Retention", "expired", "retired"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The first days that Elasticsearch keeps.

    Attributes:
        readings_from: First day of readings and of the cloud's forecasts.
        others_from: First day of all other kinds except ClockFixes.
    """

    readings_from: date
    others_from: date

    def first_day(self, kind: Kind) -> date | None:
        """Returns the first day of a kind; None if every day is kept."""
        if kind is Kind.CLOCK_FIX:
            return None
        return self.readings_from if kind is Kind.READING else self.others_from

    def keeps(self, kind: Kind, observed_at: int) -> bool:
        """Returns whether a record of an instant (ms since 1970 UTC) is kept."""
        first = self.first_day(kind)
        return first is None or observed_at >= _ms(first)

    def keeps_forecast(self, issued_at: int) -> bool:
        """Returns whether a cloud forecast of an instant (ms since 1970 UTC) is kept."""
        return issued_at >= _ms(self.readings_from)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The retention of section `[search]`.

    Attributes:
        keep_days: Days that Elasticsearch keeps at least.
        period: Time span of one index of readings.
        clock: Gives today's date.
    """

    keep_days: int
    period: Period
    clock: Clock

    def today(self) -> date:
        """Returns the current UTC day."""
        return datetime.fromtimestamp(self.clock.utc_ms() // 1000, tz=UTC).date()

    def kept(self) -> Kept:
        """Returns what Elasticsearch keeps today."""
        oldest = self.today() - timedelta(days=self.keep_days)
        return Kept(
            readings_from=oldest if self.period is Period.DAY else oldest.replace(day=1),
            others_from=oldest.replace(month=1, day=1),
        )


def retired(origin: BlockContext, block: Block, kept: Kept) -> frozenset[int]:
    """Returns the numbers of the block's records that are too old.

    Args:
        origin: The block's device and time of receipt, and the ClockFix that dates it.
        block: The block.
        kept: What Elasticsearch keeps.
    """
    first = _first_instant(origin, block)
    latest = _ms(max(kept.readings_from, kept.others_from))
    if first is None or first >= latest:  # almost every block
        return frozenset()
    found: set[int] = set()
    seq = block.first
    for sensor in block.sensors:
        rows_total = len(sensor.offsets_ms)
        for row, offset_ms in enumerate(sensor.offsets_ms):
            if _is_retired(origin, block, Kind.READING, offset_ms, kept):
                found.update(range(seq + row, seq + sensor.readings_total, rows_total))
        seq += sensor.readings_total
    for number, timed in enumerate(block.events, start=seq):
        if _is_retired(origin, block, kind_of(timed.event), timed.offset_ms, kept):
            found.add(number)
    return frozenset(found)


def _first_instant(origin: BlockContext, block: Block) -> int | None:
    """Returns the earliest instant that a record of the block can have; None if it has no time."""
    if block.utc_at is not None:
        return block.utc_at
    fix = origin.fix
    return None if fix is None else fix.utc_at + block.offset_ms - fix.offset_ms


def _is_retired(origin: BlockContext, block: Block, kind: Kind, offset_ms: int, kept: Kept) -> bool:
    at = origin.date(offset_ms) if block.utc_at is None else block.observed_at(offset_ms)
    return at is not None and not kept.keeps(kind, at)


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


class IndexStore(Protocol):
    """The calls to a search server that deleting old indices needs."""

    def index_names(self, pattern: str) -> frozenset[str]:
        """Return the names of all indices that match a pattern."""
        ...

    def delete_index(self, name: str) -> None:
        """Delete an index; a missing one is not a failure."""
        ...


def expired(existing: frozenset[str], names: IndexNames, kept: Kept) -> tuple[str, ...]:
    """Returns the indices whose every day is too old, in order; other indices are not ours."""
    firsts = {names.alias(kind): kept.first_day(kind) for kind in Kind}
    firsts[names.forecasts] = kept.readings_from
    return tuple(
        index
        for alias, first in firsts.items()
        if first is not None
        for index in sorted(existing)
        if _is_before(index, alias, first)
    )


def _is_before(index: str, alias: str, first: date) -> bool:
    found = re.fullmatch(re.escape(alias) + r"-(\d{4})\.(\d\d)(?:\.(\d\d))?", index)
    if found is None:
        return False
    named = tuple(int(part) for part in found.groups() if part is not None)
    # An index of a year is named after its January, and `first` of such kinds is a January too.
    return named < (first.year, first.month, first.day)[: len(named)]


class DailyRetirement:
    """Deletes old indices once a UTC day; called before each pass of `search follow`."""

    def __init__(self, store: IndexStore, names: IndexNames, retention: Retention) -> None:
        self._store = store
        self._names = names
        self._retention = retention
        self._done: date | None = None

    def __call__(self) -> None:
        """Deletes old indices, unless it was done today.

        Raises:
            ProjectionError: The server did not answer; call again.
            ConfigError: The account may not delete indices.
        """
        today = self._retention.today()
        if today != self._done:
            self.retire()
            self._done = today

    def retire(self) -> tuple[str, ...]:
        """Deletes the indices that are old today; returns their names. Same errors as a call."""
        kept = self._retention.kept()
        old = expired(self._store.index_names(self._names.every), self._names, kept)
        for index in old:
            self._store.delete_index(index)
            _log.info("search: index %s is older than [search] keep_days; deleted", index)
        return old
