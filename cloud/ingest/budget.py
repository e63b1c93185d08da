"""Keeps what each device may cost in one lane: messages, bytes, CPU and unreadable blocks. Pure.

All costs are seconds: a device that sends 500 messages/s, or 2 MB/s, or takes half of a CPU,
spends one second per second. A device may save `burst_s` seconds, so a gateway that sends its
backlog is not slowed. Time is an argument.
"""

from dataclasses import dataclass

__all__ = ["Budgets", "DeviceLimits"]

_DEVICES = 10_000  # more are forgotten if they have spent nothing lately


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """What one device may cost for ever, in one lane of one ingest process.

    Attributes:
        messages_per_s: Messages per second.
        bytes_per_s: Payload bytes per second.
        cpu_share: Share of one CPU that checking its blocks may take.
        unreadable_per_s: Blocks per second that cannot be decoded.
        burst_s: Time of unused budget that a device may spend at once, seconds.
        held_total: Messages of a device that wait at the same time.
        held_bytes: Payload bytes of these messages.
    """

    messages_per_s: float = 500.0
    bytes_per_s: float = 2_000_000.0
    cpu_share: float = 0.5
    unreadable_per_s: float = 2.0
    burst_s: float = 20.0
    held_total: int = 100
    held_bytes: int = 4_000_000


class Budgets:
    """What each device has spent: the second until which its budget is used up."""

    def __init__(self, limits: DeviceLimits) -> None:
        self._limits = limits
        self._spent_until_s: dict[str, float] = {}

    def over_s(self, device_id: str, now_s: float) -> float:
        """Returns for how many seconds the device has spent too much; 0 or less if it has not."""
        return self._spent_until_s.get(device_id, now_s) - now_s

    def spend_message(self, device_id: str, size_bytes: int, now_s: float) -> None:
        """Charges a device for a message that was accepted."""
        limits = self._limits
        cost_s = max(1 / limits.messages_per_s, size_bytes / limits.bytes_per_s)
        self._spend(device_id, cost_s, now_s)

    def spend_block(self, device_id: str, cpu_s: float, now_s: float, *, readable: bool) -> None:
        """Charges a device for the check of its block, after it."""
        cost_s = cpu_s / self._limits.cpu_share
        if not readable:
            cost_s = max(cost_s, 1 / self._limits.unreadable_per_s)
        self._spend(device_id, cost_s, now_s)

    def _spend(self, device_id: str, cost_s: float, now_s: float) -> None:
        if len(self._spent_until_s) >= _DEVICES and device_id not in self._spent_until_s:
            self._forget(now_s)
        saved_s = now_s - self._limits.burst_s
        self._spent_until_s[device_id] = max(self._spent_until_s.get(device_id, 0.0), saved_s)
        self._spent_until_s[device_id] += cost_s

    def _forget(self, now_s: float) -> None:
        saved_s = now_s - self._limits.burst_s
        kept = {name: until for name, until in self._spent_until_s.items() if until > saved_s}
        self._spent_until_s = kept
