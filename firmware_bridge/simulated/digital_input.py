"""Simulates a contact at a pin, such as a door's; it bounces on request."""

import math

from contract.quantities import Quantity
from firmware_bridge.chips.digital_input import Config, Level
from firmware_bridge.errors import BusError
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Surroundings

__all__ = ["SimulatedContact", "simulate"]

_BOUNCE_S = 0.015  # samples within this time belong to the same bouncing


def simulate(config: Config, around: Surroundings) -> "SimulatedContact":
    """Return a contact that is wired as this driver is configured."""
    return SimulatedContact(config.closed_level == Level.HIGH, around)


class SimulatedContact:
    """One contact. A broken wire looks like an open contact."""

    def __init__(self, closed_is_high: bool, around: Surroundings) -> None:
        self.faults = Faults({Fault.ABSENT, Fault.UNSTEADY})
        self._closed_is_high = closed_is_high
        self._around = around
        self._sampled_at_s = -math.inf
        self._flips = False

    def is_high(self) -> bool:
        """Return the level now; while the contact bounces, each call returns the other level."""
        if self.faults.refuses():
            raise BusError("the pin cannot be used")
        now_s = self._around.clock.monotonic_s()
        if now_s - self._sampled_at_s > _BOUNCE_S:
            self.faults.begin_measurement()
        self._sampled_at_s = now_s
        contact = self._around.now().value(Quantity.CONTACT)
        if contact is None:
            raise BusError("the feed has no value for the contact")
        self._flips = self.faults.shows(Fault.UNSTEADY) and not self._flips
        is_closed = (contact >= 0.5) is not self._flips
        return is_closed is self._closed_is_high
