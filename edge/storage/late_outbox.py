"""Stands for an outbox that cannot be opened yet, because the disk is full or read-only.

The gateway measures, judges and alerts without it; the journal keeps the records in memory. Each
commit looks whether the disk takes a file again. Then the real outbox is opened, and the records
are committed there.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from edge.errors import OutboxFull, OutboxMoved
from edge.storage.end_file import EndFile
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.row_checks import sound_memory
from edge.storage.stream_end import Kept, StreamEnd

__all__ = ["LateOutbox"]

_PROBE_BYTES = 131_072  # more than a new outbox with its -wal and -shm needs for the first block


class LateOutbox(Outbox):
    """Refuses commits; queries answer as an empty outbox does, but state can be recalled.

    Args:
        path: The outbox that cannot be opened.
        end_file: Its end file.
    """

    def __init__(self, path: Path, end_file: EndFile) -> None:
        super().__init__(Path(":memory:"), durable=False)
        self.path = path
        self.end_file = end_file

    def recall(self, name: str) -> str | None:
        """Returns the text in the file that cannot be written; None if it cannot be read."""
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)) as db:
                row = db.execute("SELECT * FROM memory WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error:
            return None
        return str(row[1]) if row is not None and sound_memory(*row[1:]) else None

    def commit(
        self,
        blocks: Sequence[Encoded],
        end: StreamEnd,
        memory: Iterable[tuple[str, str]] = (),
        forget: Iterable[int] = (),
        dropped: Kept | None = None,
    ) -> None:
        """Commits nothing.

        Raises:
            OutboxFull: The disk still refuses writes.
            OutboxMoved: The disk takes writes: the outbox can be opened.
        """
        del blocks, end, memory, forget, dropped
        probe = Path(f"{self.path}.probe")
        try:
            with probe.open("wb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutboxFull(f"{self.path}: {error.strerror}") from error
        finally:
            _remove(probe)
        raise OutboxMoved(f"{self.path} can be opened now")


def _remove(probe: Path) -> None:
    try:
        probe.unlink(missing_ok=True)
    except OSError:
        return  # on a read-only disk it was not created
