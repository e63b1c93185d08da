"""Runs checks in parallel threads, each with a time limit, so that one dead server delays no other.

A check that times out is abandoned: its daemon thread does not stop the program from exiting.
"""

import threading
import time
from collections.abc import Sequence

from cloud.health.finding import Check, Finding
from contract.errors import DewlineError

__all__ = ["look_at"]


class _Look(threading.Thread):
    """Thread of one check, with its findings so far, and whether the check has completed."""

    def __init__(self, check: Check) -> None:
        super().__init__(name=f"check-{check.name}", daemon=True)
        self.found: list[Finding] = []
        self.ended = False
        self._check = check

    def run(self) -> None:
        """Runs the check; `threading` prints an exception that is not a DewlineError."""
        try:
            self.found.extend(self._check.look())
        except DewlineError as error:
            self.found.append(self._check.failed(str(error)))
        self.ended = True


def look_at(checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Returns the findings of all checks in their order, after the longest limit at the latest."""
    began_s = time.monotonic()
    looks = [_Look(check) for check in checks]
    for look in looks:
        look.start()
    found: list[Finding] = []
    for check, look in zip(checks, looks, strict=True):
        look.join(max(0.0, began_s + check.limit_s - time.monotonic()))
        alive, ended = look.is_alive(), look.ended
        found += look.found
        if not ended and alive:
            found.append(check.failed(f"no answer within {check.limit_s:g} s"))
        elif not ended:
            found.append(check.failed("the check crashed; standard error has the traceback"))
    return tuple(found)
