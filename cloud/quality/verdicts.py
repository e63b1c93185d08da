"""Holds all spans of a fleet, and answers which of a device's times are unfit and why."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from cloud.quality.retrospective import DeviceSpan, Standing
from cloud.quality.spans import Fault, Span
from contract.signals import Signal

__all__ = ["LONG_MS", "NOTHING_FOUND", "SLOW", "Verdicts"]

SLOW = (Fault.DRIFT, Fault.DISAGREES)
LONG_MS = 12 * 3_600_000  # a shorter fault, such as a spike, makes no sensor suspect


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Spans of all devices, and how far each signal is from its evidence.

    Attributes:
        spans: Spans of unfit readings, sorted.
        standings: Standing of each signal that was compared with neighbours or its own past.
    """

    spans: tuple[DeviceSpan, ...] = ()
    standings: tuple[Standing, ...] = ()
    _by_device: Mapping[str, tuple[Span, ...]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        found: defaultdict[str, list[Span]] = defaultdict(list)
        for one in self.spans:
            found[one.device_id].append(one.span)
        by_device = {device_id: tuple(spans) for device_id, spans in found.items()}
        object.__setattr__(self, "_by_device", by_device)

    def of(self, device_id: str) -> tuple[Span, ...]:
        """Return the spans of one device."""
        return self._by_device.get(device_id, ())

    def by_device(self) -> Mapping[str, tuple[Span, ...]]:
        """Return the spans of each device that has some."""
        return self._by_device

    def faults(
        self, device_id: str, signals: Collection[Signal], from_ms: int, to_ms: int
    ) -> tuple[Fault, ...]:
        """Return the kinds of spans of some signals that overlap [from_ms, to_ms], sorted."""
        own = _overlapping(self.of(device_id), signals, from_ms, to_ms)
        return tuple(sorted({span.fault for span in own}))

    def suspects(
        self, signals: Collection[Signal], from_ms: int, to_ms: int
    ) -> Mapping[str, tuple[Span, ...]]:
        """Return for each device the faults that make its truth suspect in [from_ms, to_ms].

        These are the slow faults, and others that last for half a day or more.
        """
        found = {
            device_id: tuple(
                span
                for span in _overlapping(spans, signals, from_ms, to_ms)
                if span.fault in SLOW or span.end_ms - span.begin_ms >= LONG_MS
            )
            for device_id, spans in self._by_device.items()
        }
        return {device_id: spans for device_id, spans in found.items() if spans}

    def standing(self, device_id: str, signals: Collection[Signal]) -> float | None:
        """Return the largest standing of a device's signals, in limits; None without evidence."""
        known = (
            s.limits
            for s in self.standings
            if s.device_id == device_id and s.signal in signals and s.limits is not None
        )
        return max(known, default=None)


def _overlapping(
    spans: Iterable[Span], signals: Collection[Signal], from_ms: int, to_ms: int
) -> Iterable[Span]:
    return (
        span
        for span in spans
        if span.signal in signals and span.begin_ms <= to_ms and span.end_ms >= from_ms
    )


NOTHING_FOUND = Verdicts()
