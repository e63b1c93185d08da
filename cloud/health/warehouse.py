"""Checks MySQL's schema and the ledger in it."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Engine

from cloud.health.finding import Finding, State
from cloud.ledger.account import DeviceAccount
from cloud.ledger.queries import LedgerReader
from cloud.ledger.report import fork_text, summary
from cloud.warehouse.engine import require_current
from cloud.warehouse.migrations import HEAD

__all__ = ["look_at_ledger", "look_at_warehouse"]

_NAMED = 3  # devices in one finding


def look_at_warehouse(engine: Engine) -> Iterator[Finding]:
    """Connects to MySQL and compares the schema's version with this program's.

    Raises:
        SchemaOutdated: The versions differ; the message says what to do.
        WarehouseError: The server does not answer.
    """
    require_current(engine)
    yield Finding(
        check="warehouse",
        state=State.OK,
        found=f"reached, schema {HEAD}",
        expected=f"reached, schema {HEAD}",
    )


def look_at_ledger(engine: Engine, since: int) -> Iterator[Finding]:
    """Checks that every record number is accounted for exactly once, and that no outbox forked.

    A fork (an outbox that was copied or restored) never goes away again, so it is only a warning.

    Args:
        engine: The warehouse.
        since: Blocks received before count as stored, ms since 1970 UTC.

    Raises:
        WarehouseError: The server does not answer.
    """
    accounts = tuple(LedgerReader(engine, since=since).accounts())
    totals = summary(accounts).totals
    yield _count(
        "unexplained",
        totals.unexplained,
        _worst(accounts, _unexplained),
        "see `dewline-cloud ledger show`; a gateway's next Held record explains its backlog",
    )
    yield _count(
        "doubled",
        totals.doubled,
        _worst(accounts, _doubled),
        "two blocks have the same number: see `dewline-cloud ledger show`",
    )
    forks = [f"{d.device_id}: {fork_text(fork)}" for d in accounts for fork in d.forks]
    yield Finding(
        check="ledger: forks",
        state=State.WARNING if forks else State.OK,
        found="; ".join(forks) or "none",
        expected="none",
        remedy="find the copied SD card and give its gateway another device id" if forks else "",
    )


def _unexplained(device: DeviceAccount) -> int:
    return sum(stream.unexplained_total for stream in device.streams)


def _doubled(device: DeviceAccount) -> int:
    return sum(stream.doubled_total for stream in device.streams)


def _worst(accounts: Sequence[DeviceAccount], count: Callable[[DeviceAccount], int]) -> str:
    bad = sorted(((count(d), d.device_id) for d in accounts if count(d)), reverse=True)
    shown = ", ".join(f"{name} {total}" for total, name in bad[:_NAMED])
    return f"{shown} and {len(bad) - _NAMED} more devices" if len(bad) > _NAMED else shown


def _count(name: str, total: int, whose: str, remedy: str) -> Finding:
    return Finding(
        check=f"ledger: {name}",
        state=State.FAILED if total else State.OK,
        found=f"{total}: {whose}" if total else "0",
        expected="0",
        remedy=remedy if total else "",
    )
