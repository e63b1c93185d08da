"""Reports each committed block to an observer outside the process (`--trace-fd`)."""

import logging
import os
from dataclasses import dataclass

from edge.storage.journal import Committed, trace_line

__all__ = ["Trace"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Trace:
    """Writes one line of JSON per committed block.

    If the observer closes the pipe, the gateway continues.

    Attributes:
        descriptor: An open file descriptor, usually the end of a pipe.
    """

    descriptor: int
    _broken: bool = False

    def write(self, committed: Committed) -> None:
        """Writes the lines; called when the commit has returned."""
        if self._broken:
            return
        lines = "".join(trace_line(block) for block in committed.blocks).encode("ascii")
        try:
            while lines:
                lines = lines[os.write(self.descriptor, lines) :]
        except OSError as error:
            self._broken = True
            log.error(
                "trace: file descriptor %d cannot be written: %s; the trace ends",
                self.descriptor,
                error.strerror,
            )
