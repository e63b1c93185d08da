"""Checks recordings with the product's functions, without Spark; only changed sensors again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cloud.quality.causal import causal_spans
from cloud.quality.days import Days, days_of
from cloud.quality.past import DAY_MS
from cloud.quality.retrospective import DeviceSpan, compared
from cloud.quality.spans import Span
from cloud.quality.verdicts import Verdicts
from models.replay import Readings

__all__ = ["Checked", "Recording", "checked"]

Recording = Mapping[str, Readings]


@dataclass(frozen=True, slots=True)
class Checked:
    """Causal spans and days of a recording, by device and sensor."""

    causal: Mapping[tuple[str, str], list[Span]]
    days: Mapping[tuple[str, str], list[Days]]

    def with_sensor(self, device: str, sensor_id: str, readings: Readings) -> "Checked":
        """Returns the result with other readings of one sensor; only these are computed again."""
        own = [signal for signal in readings.signals if signal.sensor_id == sensor_id]
        rows = readings.rows(readings.are(own))
        spans = causal_spans(rows)
        days = [d for d in days_of(device, rows, spans) if d.signal in own]
        key = device, sensor_id
        return Checked({**self.causal, key: spans}, {**self.days, key: days})

    def verdicts(self) -> Verdicts:
        """Returns the spans of all devices, causal and retrospective."""
        found = [DeviceSpan(key[0], span) for key, own in self.causal.items() for span in own]
        slowly = compared([d for own in self.days.values() for d in own])
        return Verdicts(tuple(sorted([*found, *slowly.spans])), slowly.standings)

    def spans(self) -> Sequence[DeviceSpan]:
        """Returns the spans of all devices, causal and retrospective."""
        return self.verdicts().spans

    def until(self, last_ms: int) -> "Checked":
        """Returns the result for the readings up to an instant, which is the begin of a day."""
        last_day = last_ms // DAY_MS
        return Checked(
            {
                key: [
                    replace(s, end_ms=min(s.end_ms, last_ms)) for s in own if s.known_ms < last_ms
                ]
                for key, own in self.causal.items()
            },
            {
                key: [_cut(days, int(np.searchsorted(days.days, last_day))) for days in own]
                for key, own in self.days.items()
            },
        )


def checked(recording: Recording) -> Checked:
    """Returns the result for a recording."""
    found = Checked({}, {})
    for device, readings in recording.items():
        for sensor_id in sorted({signal.sensor_id for signal in readings.signals}):
            found = found.with_sensor(device, sensor_id, readings)
    return found


def _cut(days: Days, count: int) -> Days:
    return replace(
        days, days=days.days[:count], means=days.means[:count], dew_points=days.dew_points[:count]
    )
