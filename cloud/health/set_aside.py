"""Reads from the quarantine which gateways send implausible records or unreadable blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from cloud.health.finding import Finding, State
from cloud.instants import LAST_INSTANT, shown_instant
from cloud.plausible import IMPLAUSIBLE_NUMBER, IMPLAUSIBLE_TIME
from cloud.warehouse.engine import converted
from cloud.warehouse.ledger_tables import MORE_DOCUMENTS, QUARANTINE, SEARCH_REFUSED

__all__ = [
    "SetAsideBlocks",
    "blocks_set_aside",
    "look_at_set_aside",
    "look_at_unreadable",
    "set_aside_notes",
]

_NAMED = 3  # devices in one finding
_IMPLAUSIBLE = (IMPLAUSIBLE_TIME, IMPLAUSIBLE_NUMBER)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAsideBlocks:
    """Blocks of one gateway that projections leave out as a whole or in part.

    Attributes:
        blocks_total: Number of these blocks.
        newest_at: When the newest one was received, ms since 1970 UTC.
        reason: Why the newest one, or records in it, are left out.
    """

    blocks_total: int
    newest_at: int
    reason: str


def blocks_set_aside(
    connection: Connection,
    since: int,
    devices: Sequence[str] | None = None,
    *,
    until: int = LAST_INSTANT,
) -> Mapping[str, SetAsideBlocks]:
    """Returns the blocks with implausible records received from `since` to `until`, by device.

    Args:
        connection: Connection to the warehouse.
        since: First instant, ms since 1970 UTC.
        devices: Devices to read; None for all.
        until: Last instant, ms since 1970 UTC.
    """
    at = QUARANTINE.c
    wanted = [at.code.in_(_IMPLAUSIBLE), at.received_at >= since, at.received_at <= until]
    if devices is not None:
        wanted.append(at.device_id.in_(devices))
    return _by_device(connection, wanted)


def _by_device(
    connection: Connection, wanted: Sequence[ColumnElement[bool]]
) -> Mapping[str, SetAsideBlocks]:
    at = QUARANTINE.c
    newest_at = func.max(at.received_at, type_=at.received_at.type)
    totals = select(at.device_id, func.count(), newest_at).where(*wanted).group_by(at.device_id)
    return {
        device_id: SetAsideBlocks(
            blocks_total=total,
            newest_at=newest,
            reason=_reason(connection, [*wanted, at.device_id == device_id], newest),
        )
        for device_id, total, newest in connection.execute(totals).all()
    }


def _reason(connection: Connection, wanted: Sequence[ColumnElement[bool]], at: int) -> str:
    """Returns the reason of a block that was received at an instant."""
    query = select(QUARANTINE.c.reason).where(*wanted, QUARANTINE.c.received_at == at)
    found: str = connection.scalars(query.order_by(QUARANTINE.c.digest).limit(1)).one()
    return found


def look_at_set_aside(engine: Engine, since: int) -> Iterator[Finding]:
    """Names the gateways whose records are not plausible, such as those with a wrong clock.

    Args:
        engine: The warehouse.
        since: Only blocks received at or after this instant count, ms since 1970 UTC.

    Raises:
        WarehouseError: The server does not answer.
    """
    with converted(), engine.connect() as connection:
        found = blocks_set_aside(connection, since)
    yield _finding(
        "records set aside",
        found,
        "check the gateway's clock; see `dewline-cloud quarantine show`",
    )


def look_at_unreadable(engine: Engine, since: int) -> Iterator[Finding]:
    """Names the gateways whose blocks cannot be decoded, or exceed a limit of the contract.

    Args:
        engine: The warehouse.
        since: Only blocks received at or after this instant count, ms since 1970 UTC.

    Raises:
        WarehouseError: The server does not answer.
    """
    at = QUARANTINE.c
    codes = at.code.not_in((*_IMPLAUSIBLE, SEARCH_REFUSED, MORE_DOCUMENTS))
    with converted(), engine.connect() as connection:
        found = _by_device(connection, [codes, at.received_at >= since])
    yield _finding(
        "unreadable blocks",
        found,
        "see `dewline-cloud quarantine show`; update dewline, repair the gateway, or revoke its "
        "certificate",
    )


def _finding(check: str, found: Mapping[str, SetAsideBlocks], remedy: str) -> Finding:
    by_total = sorted(found.items(), key=lambda item: (-item[1].blocks_total, item[0]))
    shown = "; ".join(f"{device_id}: {_shown(of)}" for device_id, of in by_total[:_NAMED])
    more = len(by_total) - _NAMED
    return Finding(
        check=check,
        state=State.WARNING if found else State.OK,
        found=(f"{shown}; and {more} more devices" if more > 0 else shown) or "none",
        expected="none",
        remedy=remedy if found else "",
    )


def set_aside_notes(engine: Engine, as_of: int) -> list[str]:
    """Returns one note for each gateway with such blocks received up to `as_of`, ms since 1970.

    Raises:
        WarehouseError: The server does not answer.
    """
    with converted(), engine.connect() as connection:
        found = blocks_set_aside(connection, 0, until=as_of)
    return [f"{device_id}: records set aside in {_shown(of)}" for device_id, of in found.items()]


def _shown(of: SetAsideBlocks) -> str:
    blocks = "1 block" if of.blocks_total == 1 else f"{of.blocks_total} blocks"
    return f"{blocks}, the newest received at {shown_instant(of.newest_at)}: {of.reason}"
