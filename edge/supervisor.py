"""Notifies the process's supervisor (systemd) that the gateway is ready, alive or stopping.

Each message is one datagram to the socket that NOTIFY_SOCKET names. There is no thread and no
timer: the sense loop calls `alive` after each commit, so a hanging loop sends no sign of life.
"""

import logging
import math
import socket
from collections.abc import Mapping

from contract.errors import ConfigError

__all__ = ["Supervisor", "supervisor_of"]

log = logging.getLogger(__name__)

_BEATS = 3  # signs of life per watchdog timeout


class Supervisor:
    """Sends messages to the supervisor; without an address, sends nothing."""

    def __init__(self, address: str | None = None, beat_s: float = math.inf) -> None:
        """Stores the address; sends nothing yet.

        Args:
            address: Address of the supervisor's datagram socket; `@` begins an abstract one.
            beat_s: Longest time between two signs of life, seconds; infinity for never.
        """
        self.beat_s = math.inf if address is None else beat_s
        self._address = address
        self._failing = False

    def ready(self) -> None:
        """Reports that the outbox is open and the stream has begun."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Reports that the disk has just answered a commit."""
        if self.beat_s < math.inf:
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """Reports that a clean stop has begun."""
        self._tell("STOPPING=1")

    def _tell(self, word: str) -> None:
        if self._address is None:
            return
        address = self._address.replace("@", "\0", 1)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)  # a supervisor that hangs must not stop the sense loop
                line.sendto(word.encode(), address)
        except OSError as error:
            if not self._failing:
                log.warning("supervisor: %s cannot be sent to %s: %s", word, self._address, error)
            self._failing = True
        else:
            self._failing = False


def supervisor_of(environment: Mapping[str, str], pid: int) -> Supervisor:
    """Returns the supervisor named by NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.

    Raises:
        ConfigError: WATCHDOG_USEC is not a number of microseconds.
    """
    address = environment.get("NOTIFY_SOCKET") or None
    limit = environment.get("WATCHDOG_USEC", "")
    if not limit or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return Supervisor(address)
    if not limit.isascii() or not limit.isdigit() or int(limit) == 0:
        raise ConfigError(f"WATCHDOG_USEC is {limit!r}; expected microseconds, such as 90000000")
    return Supervisor(address, int(limit) / 1e6 / _BEATS)
