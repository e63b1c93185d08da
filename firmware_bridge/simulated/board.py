"""Simulates a board with buses, lines and pins, to which simulated chips are attached.

The chip for a driver is found by the driver's name: for `chips/sht4x.py` the function `simulate` of
`simulated/sht4x.py` creates one. A chip's protocol (see `wires.py`) says where the chip belongs, so
a new chip needs no change here.
"""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from contract.errors import ConfigError
from firmware_bridge import chips
from firmware_bridge.board import Clock, I2cBus, InputPin, OutputPin, Pull, PulseLine
from firmware_bridge.simulated.faults import Faults
from firmware_bridge.simulated.feeds import Feed, Surroundings
from firmware_bridge.simulated.wires import (
    I2cWire,
    OpenInput,
    SilentLine,
    SimulatedBus,
    SimulatedChip,
    SimulatedI2cChip,
    SimulatedOutput,
    SimulatedPulseChip,
    SimulatedSwitch,
)

__all__ = ["SimulatedBoard"]

Place = tuple[int, ...]


class SimulatedBoard:
    """A `Board` on which every bus and pin exists, with nothing on it until `plug`."""

    def __init__(self, *, clock: Clock, wall_s: Callable[[], float]) -> None:
        """Store the clocks of the chips.

        Args:
            clock: Clock of the measurements; the drivers must use the same clock.
            wall_s: Returns UNIX seconds, the time for which the feeds are read.
        """
        self._clock = clock
        self._wall_s = wall_s
        self._feeds: dict[Place, Feed] = {}
        self._wires: dict[int, I2cWire] = {}
        self._at_pins: dict[int, SimulatedChip] = {}
        self._outputs: dict[int, SimulatedOutput] = {}

    def plug(self, config: object, feed: Feed) -> Faults:
        """Attach the chip for `config` (a driver's `Config`) at its bus and address, or its pin.

        Returns:
            The chip's faults, none at first. A second call for the same kind of chip and place
            returns the faults of the existing chip: two sensors may share one chip.

        Raises:
            ConfigError: another kind of chip or another feed is there, or no simulated chip fits
                the config.
        """
        chip = _simulated(config, Surroundings(feed=feed, clock=self._clock, wall_s=self._wall_s))
        place = _place(config)
        there = self._soldered(place, chip)
        if not isinstance(there, type(chip)):
            raise ConfigError(
                f"simulated board: {_shown(place)} holds a {type(there).__name__}, "
                f"so no {type(chip).__name__} fits there"
            )
        if self._feeds.setdefault(place, feed) is not feed:
            raise ConfigError(f"simulated board: the chip at {_shown(place)} has another feed")
        return there.faults

    def wire(self, bus: int) -> I2cWire:
        """Return the bus as a wire, to attach chips directly or to use another protocol."""
        return self._wires.setdefault(bus, I2cWire())

    def i2c(self, bus: int) -> I2cBus:
        """Return the I2C bus of this number."""
        return SimulatedBus(bus, self.wire(bus))

    def pulse_line(self, pin: int) -> PulseLine:
        """Return the line at this pin; it is silent without a chip."""
        chip = self._at_pins.get(pin)
        return chip if isinstance(chip, SimulatedPulseChip) else SilentLine()

    def input(self, pin: int, pull: Pull) -> InputPin:
        """Return this pin as an input; without a chip, its resistor sets the level."""
        chip = self._at_pins.get(pin)
        return chip if isinstance(chip, SimulatedSwitch) else OpenInput(pull)

    def output(self, pin: int) -> OutputPin:
        """Return this pin as an output, off."""
        return self._outputs.setdefault(pin, SimulatedOutput())

    def is_on(self, pin: int) -> bool:
        """Return whether this output is high; false if `output` was never called for it."""
        return pin in self._outputs and self._outputs[pin].is_on

    def close(self) -> None:
        """Switch every output off."""
        for output in self._outputs.values():
            output.close()

    def _soldered(self, place: Place, chip: SimulatedChip) -> object:
        """Attach `chip` if the place is free; return the chip that is there now."""
        if isinstance(chip, SimulatedI2cChip):
            bus, address = place
            return self.wire(bus).chips.setdefault(address, chip)
        (pin,) = place
        return self._at_pins.setdefault(pin, chip)


def _simulated(config: Any, around: Surroundings) -> SimulatedChip:
    driver = type(config).__module__
    name = driver.removeprefix(f"{chips.__name__}.")
    if name not in chips.driver_names() or find_spec(f"{__package__}.{name}") is None:
        raise ConfigError(f"simulated board: no simulated chip exists for the driver {driver}")
    module = importlib.import_module(f"{__package__}.{name}")
    chip: SimulatedChip = module.simulate(config, around)
    return chip


def _place(config: Any) -> Place:
    return (config.bus, config.address) if hasattr(config, "bus") else (config.pin,)


def _shown(place: Place) -> str:
    return f"pin {place[0]}" if len(place) == 1 else f"i2c-{place[0]} address {place[1]:#04x}"
