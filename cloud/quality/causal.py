"""Runs the causal detectors over the readings of one device: the same code live and for years."""

from collections.abc import Callable

from cloud.quality.implausible import implausible
from cloud.quality.jump import jump
from cloud.quality.noise import noise
from cloud.quality.out_of_range import out_of_range
from cloud.quality.past import Series
from cloud.quality.spans import Fault, Found, Span, spans_of
from cloud.quality.spike import spike
from cloud.quality.stuck import stuck
from contract.quantities import Quantity
from contract.signals import Signal
from models.replay import Readings

__all__ = ["DETECTORS", "causal_spans", "series_of"]

DETECTORS: dict[Fault, Callable[[Series], Found]] = {
    Fault.STUCK: stuck,
    Fault.SPIKE: spike,
    Fault.JUMP: jump,
    Fault.NOISE: noise,
    Fault.OUT_OF_RANGE: out_of_range,
}
_TOGETHER = {Fault.NOISE: 24}  # rows; the measure of noise looks back over so many


def series_of(readings: Readings, signal: Signal) -> Series:
    """Return the usable values of one signal."""
    return Series.of(signal.quantity, *readings.of(signal))


def causal_spans(readings: Readings) -> list[Span]:
    """Return the spans of all signals of one device, sorted.

    Args:
        readings: Readings of one device in the order of time; NaN where a value is not usable.
    """
    every = {signal: series_of(readings, signal) for signal in readings.signals}
    found = [
        span
        for signal, series in every.items()
        for fault in _faults(signal.quantity)
        for span in _spans(signal, fault, series, DETECTORS[fault](series))
    ]
    return sorted(found + _pairs(every))


def _faults(quantity: Quantity) -> tuple[Fault, ...]:
    # A contact has two values, and light changes at the touch of a switch.
    if quantity is Quantity.CONTACT:
        return (Fault.OUT_OF_RANGE,)
    if quantity is Quantity.ILLUMINANCE:
        return (Fault.STUCK, Fault.OUT_OF_RANGE)
    return tuple(DETECTORS)


def _spans(signal: Signal, fault: Fault, series: Series, found: Found) -> list[Span]:
    return spans_of(signal, fault, series.at_ms, found, _TOGETHER.get(fault, 2))


def _pairs(every: dict[Signal, Series]) -> list[Span]:
    found: list[Span] = []
    for signal, series in every.items():
        other = Signal(signal.sensor_id, Quantity.HUMIDITY)
        if signal.quantity is Quantity.TEMPERATURE and other in every:
            both = implausible(series, every[other])
            for own, of, unfit in zip((signal, other), (series, every[other]), both, strict=True):
                found += _spans(own, Fault.IMPLAUSIBLE, of, unfit)
    return found
