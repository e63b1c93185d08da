"""A GPIO pin as an alert output: on while any alert is open."""

import logging

from contract.records import Alert
from firmware_bridge.board import OutputPin
from firmware_bridge.errors import BusError

__all__ = ["GpioOutput"]

log = logging.getLogger(__name__)


class GpioOutput:
    """Lamp, buzzer or relay.

    Args:
        output_id: Name in receipts.
        pin: The pin.
        active_high: Level that means on.
    """

    def __init__(self, output_id: str, pin: OutputPin, *, active_high: bool) -> None:
        self.output_id = output_id
        self._pin = pin
        self._active_high = active_high

    def show(self, alert: Alert, *, any_open: bool) -> bool:
        """Sets the pin to whether any alert is open; false if the board refused."""
        try:
            self._pin.set(any_open == self._active_high)
        except BusError as error:
            log.warning("alert output %s: %s: %s", self.output_id, alert.condition_id, error)
            return False
        return True

    def close(self) -> None:
        """Gives the pin back, off."""
        self._pin.close()
