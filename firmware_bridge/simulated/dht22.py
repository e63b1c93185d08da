"""Simulates the pulses that a board captures from a DHT22 (AM2302 data sheet)."""

from collections.abc import Sequence

from contract.quantities import Quantity
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings

__all__ = ["SimulatedDht22", "simulate"]

_SHORTEST_START_S = 0.0008
_SHORTEST_INTERVAL_S = 2.0
_RESPONSE_US = (80, 80)
_LOW_US, _HIGH_0_US, _HIGH_1_US = 50, 26, 70
_KEPT_PULSES = 81  # a board keeps the last ones: 40 bits of two pulses, and the closing low
_MISSED = 42  # index of the pulse that `missing_edge` hides


def simulate(_config: object, around: Surroundings) -> "SimulatedDht22":
    """Return the simulated chip for this driver."""
    return SimulatedDht22(around)


class SimulatedDht22:
    """One sensor on its line. Like the chip, it sends its previous measurement, then measures."""

    def __init__(self, around: Surroundings) -> None:
        self.faults = Faults(
            {Fault.ABSENT, Fault.CHECK_FLIPPED, Fault.FLOATING, Fault.STUCK_LOW, Fault.MISSING_EDGE}
        )
        self._around = around
        self._measured: bytes | None = None
        self._asked_at_s: float | None = None

    def capture(self, start_low_s: float) -> Sequence[int]:
        """Return the answer to a start signal; empty if the signal was too short or too soon."""
        if self.faults.refuses() or start_low_s < _SHORTEST_START_S or self._is_too_soon():
            return ()
        self.faults.begin_measurement()
        now_measured = self._measure()
        if now_measured is None:
            return ()
        answer, self._measured = self._measured or now_measured, now_measured
        pulses = [*_RESPONSE_US, *_bit_pulses(self._spoilt(answer)), _LOW_US]
        if self.faults.shows(Fault.MISSING_EDGE):
            pulses[_MISSED - 1 : _MISSED + 2] = [sum(pulses[_MISSED - 1 : _MISSED + 2])]
        return pulses[-_KEPT_PULSES:]

    def _is_too_soon(self) -> bool:
        now_s, before_s = self._around.clock.monotonic_s(), self._asked_at_s
        self._asked_at_s = now_s
        # A microsecond of slack: the sum of floats that the driver waits may round down.
        return before_s is not None and now_s - before_s < _SHORTEST_INTERVAL_S - 1e-6

    def _measure(self) -> bytes | None:
        now = self._around.now()
        temperature_c, humidity_pct = now.value(Quantity.TEMPERATURE), now.value(Quantity.HUMIDITY)
        if temperature_c is None or humidity_pct is None:
            return None
        humidity = min(1000, max(0, round(humidity_pct * 10)))
        tenths = round(temperature_c * 10)
        word = min(abs(tenths), 0x7FFF) | (0x8000 if tenths < 0 else 0)
        data = humidity.to_bytes(2, "big") + word.to_bytes(2, "big")
        return data + bytes((sum(data) & 0xFF,))

    def _spoilt(self, frame: bytes) -> bytes:
        if self.faults.shows(Fault.CHECK_FLIPPED):
            return frame[:4] + bytes((frame[4] ^ 0x01,))
        if self.faults.shows(Fault.FLOATING):
            return b"\xff" * 5
        if self.faults.shows(Fault.STUCK_LOW):
            return b"\x00" * 5
        return frame


def _bit_pulses(frame: bytes) -> list[int]:
    number = int.from_bytes(frame, "big")
    pulses = []
    for bit in range(8 * len(frame) - 1, -1, -1):
        pulses += [_LOW_US, _HIGH_1_US if number >> bit & 1 else _HIGH_0_US]
    return pulses
