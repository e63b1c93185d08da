"""Provides chips that return samples from a list, so that reading them takes no measurable time."""

from collections.abc import Iterator
from itertools import islice

from bench.air import Layout, Noise, Tick, ticks
from edge.clock import SenseClock
from edge.sensing.sampler import Sensor
from firmware_bridge.board import Chip, Sample

__all__ = ["ListChip", "list_sensors"]


class ListChip:
    """Returns the samples of a list one by one; a read takes 10 ms on the sense clock."""

    def __init__(self, samples: Iterator[Sample], clock: SenseClock | None) -> None:
        self._samples = samples
        self._clock = clock

    def read(self) -> Sample:
        """Returns the next sample."""
        if self._clock is not None:
            self._clock.sleep_s(0.01)
        return next(self._samples)

    def close(self) -> None:
        """Does nothing: there is nothing to release."""


def list_sensors(
    layout: Layout, seed: int, ticks_total: int, clock: SenseClock | None = None
) -> list[Sensor]:
    """Returns the layout's sensors at 1 Hz, with samples prepared for `ticks_total` ticks."""
    made = list(islice(ticks(layout, Noise(), seed), ticks_total))
    return [_sensor(layout, index, made, clock) for index in range(len(layout.sensors))]


def _sensor(layout: Layout, index: int, made: list[Tick], clock: SenseClock | None) -> Sensor:
    chip: Chip = ListChip(iter([t.samples[index][1] for t in made]), clock)
    placed = layout.sensors[index]
    return Sensor(
        sensor_id=placed.sensor_id, interval_s=1.0, series=placed.series, open=lambda: chip
    )
