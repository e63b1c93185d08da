"""A contact at one GPIO (1 closed, 0 open): reed switch of a door, float switch, relay contact.

Wiring: the contact between the pin and ground, with the pin's own resistor up (the default). Or
between the pin and 3.3 V, with `pull = "down"` and `closed_level = "high"`. Never more than 3.3 V.

Keys: `pin` (BCM number), `quantities` (contact), `pull` (`up`, `down`, or `none` with a resistor
outside), `closed_level` (`low` or `high`: the level that means closed), `debounce_ms` (5, from 1 to
50).

Quirks:
- A contact bounces for some ms. A reading is five samples, spread evenly over `debounce_ms`. If
  they differ, it is tried twice more; then it has no value (`check_failed`).
- A reading is the present state of the contact. Changes between two readings are not seen.
- A broken wire reads as the level of the resistor: as open, with the wiring above.
- Long wires pick up noise: use a resistor of 1 to 10 kΩ outside, and `pull = "none"`.
"""

from dataclasses import dataclass
from enum import StrEnum

from contract.quantities import Flag, Quantity
from firmware_bridge.attempts import Attempts
from firmware_bridge.board import Board, Chip, Clock, Pull, Sample
from firmware_bridge.errors import SensorUnavailable
from firmware_bridge.settings import require_one_of, require_quantities, require_whole

__all__ = ["QUANTITIES", "Config", "Level", "open"]

QUANTITIES = (Quantity.CONTACT,)

_SAMPLES = 5
_PAUSE_S = 0.02


class Level(StrEnum):
    """A level of the pin."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The keys of a `driver = "digital_input"` sensor."""

    pin: int
    quantities: tuple[Quantity, ...] = QUANTITIES
    pull: Pull = Pull.UP
    closed_level: Level = Level.LOW
    debounce_ms: int = 5

    def __post_init__(self) -> None:
        require_whole("digital_input", "pin", self.pin, 0, 27)
        require_quantities("digital_input", self.quantities, QUANTITIES)
        require_one_of("digital_input", "pull", self.pull, tuple(Pull))
        require_one_of("digital_input", "closed_level", self.closed_level, tuple(Level))
        require_whole("digital_input", "debounce_ms", self.debounce_ms, 1, 50)


def open(config: Config, board: Board, clock: Clock) -> Chip:  # noqa: A001 - the drivers' common name
    """Read once, which proves that the pin can be used."""
    chip = _DigitalInput(config, board, clock)
    chip.read()
    return chip


class _DigitalInput:
    def __init__(self, config: Config, board: Board, clock: Clock) -> None:
        self._where = f"digital_input at pin {config.pin}"
        self._config = config
        self._board = board
        self._clock = clock
        self._attempts = Attempts(self._where, clock, _PAUSE_S)
        self._spacing_s = config.debounce_ms / 1000 / (_SAMPLES - 1)

    def read(self) -> Sample:
        is_high, flags = self._attempts.run(self._attempt)
        is_closed = is_high == (self._config.closed_level == Level.HIGH)
        return Sample(values=((Quantity.CONTACT, float(is_closed)),), flags=flags)

    def close(self) -> None:
        """Do nothing: the pin belongs to the board."""

    def _attempt(self) -> bool:
        pin = self._board.input(self._config.pin, Pull(self._config.pull))
        level = pin.is_high()
        for _ in range(_SAMPLES - 1):
            self._clock.sleep_s(self._spacing_s)
            if pin.is_high() is not level:
                text = f"level changed within {self._config.debounce_ms} ms: the contact bounces"
                raise SensorUnavailable(f"{self._where}: {text}", flag=Flag.CHECK_FAILED)
        return level
