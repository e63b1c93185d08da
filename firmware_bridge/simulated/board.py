"""The simulated board: gives out buses, lines and pins, and takes chips to be soldered on."""

from collections.abc import Callable
from typing import TypeVar

from contract.errors import ConfigError
from firmware_bridge.board import Clock, I2cBus, OutputPin, PulseLine
from firmware_bridge.chips import bme280, dht22, sht4x
from firmware_bridge.simulated.bme280 import SimulatedBme280
from firmware_bridge.simulated.dht22 import SimulatedDht22
from firmware_bridge.simulated.faults import Faults
from firmware_bridge.simulated.feeds import Feed, Surroundings
from firmware_bridge.simulated.sht4x import SimulatedSht4x
from firmware_bridge.simulated.wires import (
    I2cWire,
    SilentLine,
    SimulatedBus,
    SimulatedI2cChip,
    SimulatedOutput,
)

__all__ = ["SimulatedBoard"]

C = TypeVar("C", SimulatedBme280, SimulatedSht4x)


class SimulatedBoard:
    """A `Board` on which every bus and pin exists, with nothing on it until `plug`."""

    def __init__(self, *, clock: Clock, wall_s: Callable[[], float]) -> None:
        """Time for the chips.

        Args:
            clock: How long their measurements take; the drivers must be given the same one.
            wall_s: UNIX seconds, by which the feeds are asked.
        """
        self._clock = clock
        self._wall_s = wall_s
        self._feeds: dict[tuple[int, ...], Feed] = {}
        self._wires: dict[int, I2cWire] = {}
        self._lines: dict[int, SimulatedDht22] = {}
        self._outputs: dict[int, SimulatedOutput] = {}

    def plug(self, config: object, feed: Feed) -> Faults:
        """Solder on the chip that `config` (a driver's `Config`) expects, where it expects it.

        Returns:
            The chip's faults, none at first. Plugging the same kind of chip into its place again
            gives those of the chip that is there: two sensors may share one chip.

        Raises:
            ConfigError: another kind of chip or another feed is there, or no simulated chip fits
                the config.
        """
        around = Surroundings(feed=feed, clock=self._clock, wall_s=self._wall_s)
        match config:
            case bme280.Config(bus=bus, address=address):
                self._require_one_feed((bus, address), feed)
                return self._solder(bus, address, SimulatedBme280(around)).faults
            case sht4x.Config(bus=bus, address=address):
                self._require_one_feed((bus, address), feed)
                return self._solder(bus, address, SimulatedSht4x(around)).faults
            case dht22.Config(pin=pin):
                self._require_one_feed((pin,), feed)
                return self._lines.setdefault(pin, SimulatedDht22(around)).faults
        raise ConfigError(
            f"simulated board: there is no simulated chip for {type(config).__module__}"
        )

    def wire(self, bus: int) -> I2cWire:
        """The bus as bare wire, to solder chips on by hand or to put another protocol before it."""
        return self._wires.setdefault(bus, I2cWire())

    def i2c(self, bus: int) -> I2cBus:
        """The I2C bus of this number."""
        return SimulatedBus(bus, self.wire(bus))

    def pulse_line(self, pin: int) -> PulseLine:
        """The line at this pin; silent if nothing is plugged in."""
        return self._lines.get(pin) or SilentLine()

    def output(self, pin: int) -> OutputPin:
        """This pin as an output, off."""
        return self._outputs.setdefault(pin, SimulatedOutput())

    def is_on(self, pin: int) -> bool:
        """Whether this output is driven high; false for one never asked for."""
        return pin in self._outputs and self._outputs[pin].is_on

    def close(self) -> None:
        """Switch every output off."""
        for output in self._outputs.values():
            output.close()

    def _require_one_feed(self, place: tuple[int, ...], feed: Feed) -> None:
        if self._feeds.setdefault(place, feed) is not feed:
            name = f"pin {place[0]}" if len(place) == 1 else f"i2c-{place[0]} {place[1]:#04x}"
            raise ConfigError(f"simulated board: the chip at {name} has another feed already")

    def _solder(self, bus: int, address: int, chip: C) -> C:
        there: SimulatedI2cChip = self.wire(bus).chips.setdefault(address, chip)
        if not isinstance(there, type(chip)):
            raise ConfigError(
                f"simulated board: i2c-{bus} address {address:#04x} holds a "
                f"{type(there).__name__}, so no {type(chip).__name__} fits there"
            )
        return there
