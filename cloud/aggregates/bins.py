"""Summarizes the samples of one signal in equal intervals of one day. Pure.

A day is a frame: a UTC day, or the local day of a site, which has 23 to 25 hours when clocks
change. Every figure of a frame depends only on the samples in this frame. So late data changes the
summaries of exactly the days that it touches.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bins", "Frame", "Gaps", "Samples", "gaps_of", "summarize"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Intervals without a value that are longer than this many usual intervals are gaps: one late or
# lost sample is none.
_GAP_FACTOR = 2.5
# Activation energy over the gas constant, K: 83.144 kJ/mol / 8.3144 J/(mol K), as in USP <1079.2>
# "Mean Kinetic Temperature in the Evaluation of Temperature Excursions" and ICH Q1A(R2).
_ACTIVATION_K = 83_144.0 / 8.3144
_ZERO_C_K = 273.15


@dataclass(frozen=True, slots=True)
class Frame:
    """A day in one calendar.

    Attributes:
        day: Its date in that calendar.
        begin_ms: First instant, ms since 1970 UTC.
        end_ms: First instant after it.
    """

    day: date
    begin_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """Length, ms."""
        return self.end_ms - self.begin_ms


@dataclass(frozen=True, slots=True)
class Samples:
    """Readings of one signal in the order of time.

    Attributes:
        at_ms: Instants, ms since 1970 UTC, ascending.
        values: Values in the signal's unit; NaN where a reading has no usable value.
        calibrations: Number of the reading's calibration; -1 for none.
    """

    at_ms: Ints
    values: Floats
    calibrations: Ints

    def inside(self, frame: Frame) -> "Samples":
        """Return the samples of a frame."""
        first, last = np.searchsorted(self.at_ms, (frame.begin_ms, frame.end_ms))
        own = slice(first, last)
        return Samples(self.at_ms[own], self.values[own], self.calibrations[own])


@dataclass(frozen=True, slots=True)
class Gaps:
    """The times of one frame that have no values, oldest first.

    Attributes:
        begins_ms: Begin of each gap, ms since 1970 UTC.
        ends_ms: End of each gap.
        usual_ms: The signal's usual interval in this frame, ms; None with fewer than two values.
    """

    begins_ms: Floats
    ends_ms: Floats
    usual_ms: float | None

    def coverage(self, begins_ms: Ints, length_ms: int) -> Floats:
        """Return the share of each interval outside gaps, 0 to 1."""
        ends_ms = begins_ms + length_ms
        open_ms = self.before(ends_ms) - self.before(begins_ms)
        return np.clip(1.0 - open_ms / length_ms, 0.0, 1.0)

    def before(self, at_ms: Ints) -> Floats:
        """Return the length of all gaps before each instant, ms."""
        if not len(self.begins_ms):
            return np.zeros(len(at_ms))
        done = np.concatenate(([0.0], np.cumsum(self.ends_ms - self.begins_ms)))
        begun = np.searchsorted(self.begins_ms, at_ms, side="right")
        remaining = np.maximum(self.ends_ms[np.maximum(begun - 1, 0)] - at_ms, 0.0)
        return np.asarray(done[begun] - np.where(begun > 0, remaining, 0.0))


def gaps_of(samples: Samples, frame: Frame) -> Gaps:
    """Return the gaps of a frame.

    The usual interval is the median distance of the frame's values. A gap is a time of more than
    2.5 usual intervals without a value. The frame's begin and end count as values here. With
    fewer than two instants the whole frame is a gap.
    """
    at_ms = samples.at_ms[~np.isnan(samples.values)].astype(np.float64)
    distances = np.diff(at_ms)
    distances = distances[distances > 0]
    if not len(distances):
        return Gaps(np.array([float(frame.begin_ms)]), np.array([float(frame.end_ms)]), None)
    usual_ms = float(np.median(distances))
    points = np.concatenate(([frame.begin_ms], at_ms, [frame.end_ms]))
    wide = np.diff(points) > _GAP_FACTOR * usual_ms
    return Gaps(points[:-1][wide], points[1:][wide], usual_ms)


@dataclass(frozen=True, slots=True)
class Bins:
    """Summaries of the intervals that have readings, oldest first; NaN where there is no value.

    Attributes:
        begins_ms: Begin of each interval, ms since 1970 UTC.
        values_total: Number of usable values.
        unusable_total: Number of readings without a usable value.
        lowest: Lowest value, in the signal's unit like the next three.
        mean: Mean of the values.
        highest: Highest value.
        last: Last value.
        last_at_ms: Instant of the last value, ms since 1970 UTC; -1 for none.
        coverage: Share of the interval outside gaps, 0 to 1.
        kinetic_c: Mean kinetic temperature, degrees Celsius; NaN for another quantity.
        calibrations: Number of the last reading's calibration; -1 for none.
    """

    begins_ms: Ints
    values_total: Ints
    unusable_total: Ints
    lowest: Floats
    mean: Floats
    highest: Floats
    last: Floats
    last_at_ms: Ints
    coverage: Floats
    kinetic_c: Floats
    calibrations: Ints

    def __len__(self) -> int:
        return len(self.begins_ms)


def summarize(
    samples: Samples, frame: Frame, length_ms: int, gaps: Gaps, *, is_temperature: bool
) -> Bins:
    """Return the summaries of one frame in intervals of `length_ms`.

    Args:
        samples: The samples of this frame, at least one.
        frame: The frame; its length is a multiple of `length_ms`.
        length_ms: Length of an interval, ms.
        gaps: The frame's gaps.
        is_temperature: Whether the values are degrees Celsius.
    """
    values, usable = samples.values, ~np.isnan(samples.values)
    own = (samples.at_ms - frame.begin_ms) // length_ms
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    begins_ms = frame.begin_ms + own[starts] * length_ms
    total = np.add.reduceat(usable.astype(np.int64), starts)
    lowest, highest = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    sums = np.add.reduceat(np.where(usable, values, 0.0), starts)
    last = np.maximum.reduceat(np.where(usable, np.arange(len(values)), -1), starts)
    return Bins(
        begins_ms=begins_ms,
        values_total=total,
        unusable_total=_sizes(values, starts) - total,
        lowest=lowest,
        # Rounding may put the mean of equal values outside of them.
        mean=np.clip(_ratio(sums, total), lowest, highest),
        highest=highest,
        last=np.where(last >= 0, values[last], np.nan),
        last_at_ms=np.where(last >= 0, samples.at_ms[last], -1),
        coverage=gaps.coverage(begins_ms, length_ms),
        kinetic_c=_kinetic_c(values, starts, is_temperature=is_temperature),
        calibrations=samples.calibrations[np.append(starts[1:], len(values)) - 1],
    )


def _sizes(values: Floats, starts: Ints) -> Ints:
    return np.diff(np.append(starts, len(values)))


def _ratio(sums: Floats, total: Ints) -> Floats:
    quotients = np.full(len(sums), np.nan)
    np.divide(sums, total, out=quotients, where=total > 0)
    return quotients


def _kinetic_c(values: Floats, starts: Ints, *, is_temperature: bool) -> Floats:
    """Return the mean kinetic temperature of each interval, degrees Celsius.

    The formula is that of J. D. Haynes (1971), J. Pharm. Sci. 60, 927, for equally spaced values:
    T = (dH/R) / -ln(mean(exp(-dH / (R T_i)))), in kelvin. The largest exponent is taken out of the
    sum, because the terms would be 0 at low temperatures.
    """
    if not is_temperature:
        return np.full(len(starts), np.nan)
    kelvin = values + _ZERO_C_K
    possible = kelvin > 0  # false for NaN
    exponents = -_ACTIVATION_K / np.where(possible, kelvin, np.nan)
    largest = np.fmax.reduceat(exponents, starts)
    sizes = _sizes(values, starts)
    scaled = np.where(possible, np.exp(exponents - np.repeat(largest, sizes)), 0.0)
    total = np.add.reduceat(possible.astype(np.int64), starts)
    logs = np.log(_ratio(np.add.reduceat(scaled, starts), total)) + largest
    return np.asarray(_ACTIVATION_K / -logs - _ZERO_C_K)
