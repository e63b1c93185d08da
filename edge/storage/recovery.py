"""A damaged outbox: set aside, never deleted, and a new one begun.

Measuring goes on within seconds; what the old file held is for a person to salvage.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import OutboxCorrupt
from edge.storage.outbox import Outbox

__all__ = ["open_outbox", "set_aside"]

log = logging.getLogger(__name__)


def open_outbox(path: Path) -> Outbox:
    """The sense loop's durable connection, to a new file if the one that is there is damaged.

    Raises:
        OutboxFull: No access or no room.
        OutboxNewer: A newer dewline wrote the file.
    """
    try:
        return Outbox(path, durable=True)
    except OutboxCorrupt as error:
        log.error("%s; kept as %s, a new outbox is begun", error, set_aside(path))
        return Outbox(path, durable=True)


def set_aside(path: Path) -> Path:
    """Renames a damaged outbox, with its journal; the new name says when."""
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
