"""Aosong DHT22 (AM2302): temperature (Cel, ±0.5) and humidity (%RH, ±2 to 5) over one GPIO.

Wiring: 3.3 V, data at a GPIO with 4.7 to 10 kΩ to 3.3 V, ground.

Keys: `pin` (BCM number), `quantities` (both), `min_interval_s` (2.0 or more) and `renew_after_s`
(60). The chip does not answer sooner than `min_interval_s` after a reading. After a pause longer
than `renew_after_s` the driver reads twice and keeps the second reading.

Quirks:
- The chip answers with its *previous* measurement and then measures again (AM2302 data sheet).
  `renew_after_s` limits the age of that measurement. A reading after a longer pause, and every
  retry, waits `min_interval_s`. Other readings are as old as the interval between readings.
- The checksum is a sum of four bytes. It is right for an all-zero frame and, once in some hundreds
  of frames, for a wrong one. So the driver also refuses pulses too long to be one bit, values
  outside the part's range (-40...80 Cel, 0...100 %RH) and known frames of an overrun chip.
- Capturing on Linux blocks for 0.25 to 0.35 s and fails about one time in ten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, PulseLine, Sample
from firmware_bridge.errors import SensorUnavailable
from firmware_bridge.settings import require_quantities, require_whole, require_within

__all__ = ["QUANTITIES", "Config", "open"]

QUANTITIES = (Quantity.TEMPERATURE, Quantity.HUMIDITY)

_START_LOW_S = 0.001
_BIT_PULSES = 80
_ONE_US = 51  # a 0 is high for 26 to 28 us, a 1 for 70 us
_LONGEST_US = 95  # a missed edge joins pulses to about 102 or 126 us
# Raw (temperature, humidity) tenths that chips send if damaged or read too often.
_BOGUS = frozenset({(0, 0), (1, 10), (0, 10), (0, 20)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "dht22"` sensor."""

    pin: int
    quantities: tuple[Quantity, ...] = QUANTITIES
    min_interval_s: float = 2.0
    renew_after_s: float = 60.0

    def __post_init__(self) -> None:
        require_whole("dht22", "pin", self.pin, 0, 27)
        require_quantities("dht22", self.quantities, QUANTITIES)
        require_within("dht22", "min_interval_s", self.min_interval_s, 2.0, 3600.0)
        require_within("dht22", "renew_after_s", self.renew_after_s, self.min_interval_s, 86_400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The two words of an accepted answer, in tenths of a Cel and of a %RH."""

    temperature_tenths: int
    humidity_tenths: int


class BadFrame(ValueError):
    """Reports a wrong answer; does not leave this module."""


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Capture once, which proves that a chip answers and starts a new measurement."""
    chip = _Dht22(config, board.pulse_line(config.pin), clock)
    chip.start()
    return chip


def frame_bytes(pulses: Sequence[int]) -> bytes:
    """Return the five bytes of the pulses: alternately low and high, 40 bits, then a last low.

    Raises:
        BadFrame: there are fewer than 80 pulses, or one is too long for a single bit.
    """
    if len(pulses) < _BIT_PULSES:
        raise BadFrame(f"{len(pulses)} pulses, expected 81: check wiring and pull-up resistor")
    # The closing low counts too: a pulse lost there shifts all bits by one.
    if max(pulses) > _LONGEST_US:
        raise BadFrame(f"a pulse of {max(pulses)} us is too long: an edge was missed")
    number = 0
    for high_us in pulses[1:_BIT_PULSES:2]:
        number = number << 1 | (high_us > _ONE_US)
    return number.to_bytes(5, "big")


def parse_frame(frame: bytes) -> Frame:
    """Return the words of five bytes, if their sum and their values are right.

    Raises:
        BadFrame: the sum is wrong, or the values are impossible or known to be wrong.
    """
    if sum(frame[:4]) & 0xFF != frame[4]:
        raise BadFrame(f"checksum failed: {frame.hex(' ')}")
    humidity = frame[0] << 8 | frame[1]
    temperature = (frame[2] & 0x7F) << 8 | frame[3]
    if frame[2] & 0x80:
        temperature = -temperature
    if (temperature, humidity) in _BOGUS:
        raise BadFrame(
            f"bogus frame {frame.hex(' ')}: line stuck low, damaged chip, or read too often"
        )
    if humidity > 1000 or not -400 <= temperature <= 800:
        raise BadFrame(f"values outside the chip's range: {frame.hex(' ')}")
    return Frame(temperature_tenths=temperature, humidity_tenths=humidity)


class _Dht22:
    def __init__(self, config: Config, line: PulseLine, clock: Clock) -> None:
        self._where = f"dht22 at pin {config.pin}"
        self._config = config
        self._line = line
        self._clock = clock
        self._attempts = Attempts(self._where, clock, pause_s=0.0)  # `_capture` waits by itself
        self._captured_at_s: float | None = None

    def start(self) -> None:
        self._attempts.run(self._capture)

    def read(self) -> Sample:
        frame, flags = self._attempts.run(self._attempt)
        computed = {
            Quantity.TEMPERATURE: frame.temperature_tenths / 10,
            Quantity.HUMIDITY: frame.humidity_tenths / 10,
        }
        values = tuple((quantity, computed[quantity]) for quantity in self._config.quantities)
        return Sample(values=values, flags=flags)

    def close(self) -> None:
        """Do nothing: the line belongs to the board."""

    def _attempt(self) -> Frame:
        if self._is_stale():
            self._capture()  # this answer is too old, but it makes the chip measure
        return self._decode(self._capture())

    def _is_stale(self) -> bool:
        last = self._captured_at_s
        return last is None or self._clock.monotonic_s() - last > self._config.renew_after_s

    def _capture(self) -> Sequence[int]:
        if self._captured_at_s is not None:
            ready_at_s = self._captured_at_s + self._config.min_interval_s
            wait_s = ready_at_s - self._clock.monotonic_s()
            if wait_s > 0:
                self._clock.sleep_s(wait_s)
        # Set before capturing, because a failed capture also disturbs the chip.
        self._captured_at_s = self._clock.monotonic_s()
        pulses = self._line.capture(_START_LOW_S)
        if not pulses:
            raise SensorUnavailable(f"{self._where}: no answer", flag=Flag.NO_ANSWER)
        return pulses

    def _decode(self, pulses: Sequence[int]) -> Frame:
        try:
            return parse_frame(frame_bytes(pulses))
        except BadFrame as error:
            raise SensorUnavailable(f"{self._where}: {error}", flag=Flag.CHECK_FAILED) from error
