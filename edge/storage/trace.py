"""The trace: tells an observer outside the process what was committed, as it happens."""

import logging
import os
from dataclasses import dataclass

from edge.storage.journal import Committed, trace_line

__all__ = ["Trace"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Trace:
    """One line of JSON a committed block.

    An observer that goes away does not stop the gateway.

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
            log.error("trace: descriptor %d: %s; no more lines", self.descriptor, error.strerror)
