"""Reports devices whose messages ingest refuses, in the log and in the lake.

    ingest/refused/<hour>/<device>      a device over its budget in that hour (UTC), for `doctor`

The files keep `doctor` independent of the process: one file for each hour and device, deleted by
ingest after a day.
"""

import contextlib
import logging
import threading
from datetime import UTC, datetime

from cloud.errors import LakeError, LakeExists
from cloud.ingest.budget import DeviceLimits
from cloud.lake.store import Store

__all__ = ["KEPT_HOURS", "Refusals", "refused_devices"]

KEPT_HOURS = 24
_PREFIX = "ingest/refused/"
_HOUR = "%Y%m%dt%H"
_HOUR_MS = 3_600_000
_REPORT_MS = 60_000
_NAMED = 10  # devices that one report names; the others are counted

_log = logging.getLogger(__name__)


class Refusals:
    """Counts refused messages by device; `report` writes what is new."""

    def __init__(self, store: Store, limits: DeviceLimits) -> None:
        self._store = store
        self._limits = limits
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._reported_ms: int | None = None
        self._written: set[str] = set()
        self.total = 0

    def note(self, device_id: str) -> None:
        """Counts a message of a device that was refused."""
        with self._lock:
            self._counts[device_id] = self._counts.get(device_id, 0) + 1
            self.total += 1

    def report(self, now_ms: int) -> None:
        """Logs and stores the devices refused since the last report, at most once a minute.

        Args:
            now_ms: Current time, ms since 1970 UTC.
        """
        if self._reported_ms is not None and now_ms - self._reported_ms < _REPORT_MS:
            return
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        self._reported_ms = now_ms
        most = sorted(counts, key=lambda device: (-counts[device], device))
        for device_id in most[:_NAMED]:
            self._warn(device_id, counts[device_id])
        if len(most) > _NAMED:
            _log.warning("%d more devices send more than their budget", len(most) - _NAMED)
        try:
            self._keep(most, now_ms)
        except LakeError as error:
            _log.warning("the devices over their budget are not in the lake: %s", error)

    def _warn(self, device_id: str, total: int) -> None:
        _log.warning(
            "device %s sends more than its budget (%g messages/s, %g bytes/s, %g %% of a CPU, "
            "%g unreadable blocks/s in a lane): %d of its messages were refused and not acked; "
            "other devices are not affected. Repair the device, or revoke its certificate: "
            "dewline-cloud ca revoke %s",
            device_id,
            self._limits.messages_per_s,
            self._limits.bytes_per_s,
            100 * self._limits.cpu_share,
            self._limits.unreadable_per_s,
            total,
            device_id,
        )

    def _keep(self, devices: list[str], now_ms: int) -> None:
        folder = f"{_PREFIX}{_hour(now_ms)}/"
        if not any(path.startswith(folder) for path in self._written):
            self._written.clear()
            self._delete_old(now_ms)
        for path in (f"{folder}{device_id}" for device_id in devices):
            if path not in self._written:
                with contextlib.suppress(LakeExists):  # another process made it
                    self._store.create(path, b"")
                self._written.add(path)

    def _delete_old(self, now_ms: int) -> None:
        oldest = f"{_PREFIX}{_hour(now_ms - KEPT_HOURS * _HOUR_MS)}/"
        for path in self._store.list(_PREFIX):
            if path < oldest:
                self._store.delete(path)


def refused_devices(store: Store, now_ms: int) -> tuple[str, ...]:
    """Returns the devices that were over their budget within `KEPT_HOURS`, in order.

    Raises:
        LakeError: The lake cannot be read.
    """
    oldest = f"{_PREFIX}{_hour(now_ms - KEPT_HOURS * _HOUR_MS)}/"
    paths = [path for path in store.list(_PREFIX) if path >= oldest]
    return tuple(sorted({path.rpartition("/")[2] for path in paths}))


def _hour(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).strftime(_HOUR)
