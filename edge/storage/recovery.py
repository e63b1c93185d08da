"""Renames a damaged outbox and creates a new one.

Measuring continues within seconds. The damaged file is never deleted, so that the operator can
recover its data.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import OutboxCorrupt
from edge.storage.outbox import Outbox

__all__ = ["open_outbox", "set_aside"]

log = logging.getLogger(__name__)


def open_outbox(path: Path) -> Outbox:
    """Returns the sense loop's durable connection; replaces a damaged file by a new one.

    Raises:
        OutboxFull: The disk is full, or the file is not accessible.
        OutboxNewer: A newer dewline wrote the file.
    """
    try:
        return Outbox(path, durable=True)
    except OutboxCorrupt as error:
        log.error("%s; the file is renamed to %s, a new outbox is created", error, set_aside(path))
        return Outbox(path, durable=True)


def set_aside(path: Path) -> Path:
    """Renames a damaged outbox, with its WAL files; returns the new name, with date and time."""
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    kept, number = path.with_name(f"{path.name}.corrupt.{stamp}"), 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.corrupt.{stamp}-{number}")
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(kept.with_name(kept.name + suffix))
    return kept
