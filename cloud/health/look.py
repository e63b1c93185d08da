"""Looks at many things side by side, each with its own limit: one dead server holds up nobody.

A look that does not end in time is left behind in its thread, which does not keep the program from
ending.
"""

import threading
import time
from collections.abc import Sequence

from cloud.health.finding import Check, Finding
from contract.errors import DewlineError

__all__ = ["look_at"]


class _Look(threading.Thread):
    """One check under way: what it has found so far, and whether it has ended in order."""

    def __init__(self, check: Check) -> None:
        super().__init__(name=f"check-{check.name}", daemon=True)
        self.found: list[Finding] = []
        self.ended = False
        self._check = check

    def run(self) -> None:
        """Looks; a foreign exception ends the thread and is printed by `threading`."""
        try:
            self.found.extend(self._check.look())
        except DewlineError as error:
            self.found.append(self._check.failed(str(error)))
        self.ended = True


def look_at(checks: Sequence[Check]) -> tuple[Finding, ...]:
    """The findings of all checks, in their order; as long as the longest limit at most."""
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
            found.append(check.failed("the check broke off, standard error says where"))
    return tuple(found)
