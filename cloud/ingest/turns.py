"""Lets devices take turns in a lane: one message of each device, then the next of each.

A broker delivers the messages of a lane in the order of their arrival, so a device that sends fast
would make all others wait. Here a message waits for at most one message of each other device. A
device over its budget, or with too many messages waiting, is refused and the others are not.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cloud.ingest.budget import Budgets, DeviceLimits

__all__ = ["Turns"]

T = TypeVar("T")

_TOTAL_BYTES = 64_000_000  # of all devices: QoS 0 is not limited by the receive maximum
_DEBT_S = 1.0  # a device with a larger debt does not get its turn


@dataclass(slots=True)
class _Queue(Generic[T]):
    messages: deque[tuple[T, int]] = field(default_factory=deque)
    held_bytes: int = 0


class Turns(Generic[T]):
    """The waiting messages of a lane; all methods may be called from any thread.

    Args:
        limits: What a device may cost and hold.
        refuse: Called with the device and with a message that will not be taken, outside of the
            lock.
        clock_s: Monotonic time, seconds.
    """

    def __init__(
        self,
        limits: DeviceLimits,
        refuse: Callable[[str, T], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._budgets = Budgets(limits)
        self._refuse = refuse
        self._clock_s = clock_s
        self._changed = threading.Condition()
        self._queues: dict[str, _Queue[T]] = {}
        self._turn: deque[str] = deque()  # devices with messages, the next one first
        self._held_bytes = 0

    def offer(self, device_id: str, message: T, size_bytes: int) -> bool:
        """Adds a message, or refuses it; returns whether it was added."""
        with self._changed:
            accepted = self._accepts(device_id, size_bytes)
            if accepted:
                self._budgets.spend_message(device_id, size_bytes, self._clock_s())
                self._add(device_id, message, size_bytes)
                self._changed.notify()
        if not accepted:
            self._refuse(device_id, message)
        return accepted

    def take(self, timeout_s: float) -> T | None:
        """Returns the next message; None after `timeout_s` seconds without one."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._turn, timeout_s):
                return None
            taken, refused = self._next()
        for device_id, message in refused:
            self._refuse(device_id, message)
        return taken

    def charge(self, device_id: str, cpu_s: float, *, readable: bool) -> None:
        """Charges a device for a block after its check, when the cost is known."""
        with self._changed:
            self._budgets.spend_block(device_id, cpu_s, self._clock_s(), readable=readable)

    def shorten(self, total: int) -> None:
        """Drops the next messages in turn until at most `total` wait."""
        while len(self) > total:
            self.take(0.0)

    def __len__(self) -> int:
        """Returns the number of waiting messages."""
        with self._changed:
            return sum(len(queue.messages) for queue in self._queues.values())

    def _accepts(self, device_id: str, size_bytes: int) -> bool:
        if self._budgets.over_s(device_id, self._clock_s()) > 0.0:
            return False
        if self._held_bytes + size_bytes > _TOTAL_BYTES:
            return False
        queue = self._queues.get(device_id)
        return queue is None or (
            len(queue.messages) < self._limits.held_total
            and queue.held_bytes + size_bytes <= self._limits.held_bytes
        )

    def _add(self, device_id: str, message: T, size_bytes: int) -> None:
        queue = self._queues.get(device_id)
        if queue is None:
            queue = self._queues[device_id] = _Queue()
            self._turn.append(device_id)
        queue.messages.append((message, size_bytes))
        queue.held_bytes += size_bytes
        self._held_bytes += size_bytes

    def _next(self) -> tuple[T | None, list[tuple[str, T]]]:
        """Returns the next message, and those of devices whose blocks turned out too expensive."""
        refused: list[tuple[str, T]] = []
        while self._turn:
            device_id = self._turn.popleft()
            queue = self._queues[device_id]
            if self._budgets.over_s(device_id, self._clock_s()) > _DEBT_S:
                refused += [(device_id, message) for message, _ in queue.messages]
                self._held_bytes -= queue.held_bytes
                del self._queues[device_id]
                continue
            message, size_bytes = queue.messages.popleft()
            queue.held_bytes -= size_bytes
            self._held_bytes -= size_bytes
            if queue.messages:
                self._turn.append(device_id)
            else:
                del self._queues[device_id]
            return message, refused
        return None, refused
