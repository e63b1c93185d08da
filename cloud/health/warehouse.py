"""Looks at MySQL, and at what the ledger there says."""

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
    """Connects and compares the schema.

    Raises:
        SchemaOutdated: The schema is another one; the text says what to do.
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
    """Whether every number is accounted for once; forks are known for good, so only remarkable.

    Args:
        engine: The warehouse.
        since: What came before is taken for granted, ms since 1970 UTC.

    Raises:
        WarehouseError: The server does not answer.
    """
    accounts = tuple(LedgerReader(engine, since=since).accounts())
    totals = summary(accounts).totals
    yield _count(
        "unexplained",
        totals.unexplained,
        _worst(accounts, _unexplained),
        "see `dewline-cloud ledger show`; a backlog on its way explains itself with the next Held",
    )
    yield _count(
        "doubled",
        totals.doubled,
        _worst(accounts, _doubled),
        "two blocks claim one number: see `dewline-cloud ledger show`",
    )
    forks = [f"{d.device_id}: {fork_text(fork)}" for d in accounts for fork in d.forks]
    yield Finding(
        check="ledger: forks",
        state=State.WARNING if forks else State.OK,
        found="; ".join(forks) or "none",
        expected="none",
        remedy="find the second card and give it a name of its own" if forks else "",
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
