"""Checks which devices send more than ingest accepts from one device."""

from collections.abc import Iterator

from cloud.health.finding import Finding, State
from cloud.ingest.refusals import KEPT_HOURS, refused_devices
from cloud.lake.store import Store

__all__ = ["look_at_budgets"]

_NAMED = 10


def look_at_budgets(store: Store, now_ms: int) -> Iterator[Finding]:
    """Names the devices whose messages ingest refused within a day.

    Args:
        store: The lake.
        now_ms: Current time, ms since 1970 UTC.

    Raises:
        LakeError: The lake cannot be read.
    """
    devices = refused_devices(store, now_ms)
    more = f" and {len(devices) - _NAMED} more" if len(devices) > _NAMED else ""
    yield Finding(
        check="devices over budget",
        state=State.WARNING if devices else State.OK,
        found=", ".join(devices[:_NAMED]) + more if devices else "none",
        expected=f"none in {KEPT_HOURS} h",
        remedy=(
            "ingest's log says how much each one sends: repair the device, or revoke its "
            "certificate with `ca revoke`"
        )
        if devices
        else "",
    )
