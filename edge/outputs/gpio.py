"""Switches a GPIO pin as an alert output: on while any alert is open."""

import logging

from contract.records import Alert
from firmware_bridge.board import OutputPin
from firmware_bridge.errors import BusError

__all__ = ["GpioOutput"]

log = logging.getLogger(__name__)


class GpioOutput:
    """Switches a lamp, buzzer or relay.

    Args:
        output_id: Name in receipts.
        pin: The pin.
        active_high: Whether a high level means on.
    """

    def __init__(self, output_id: str, pin: OutputPin, *, active_high: bool) -> None:
        self.output_id = output_id
        self._pin = pin
        self._active_high = active_high

    def resume(self, *, any_open: bool) -> None:
        """Sets the pin as it was before the start."""
        self._set(any_open, "start")

    def show(self, alert: Alert, *, any_open: bool) -> bool:
        """Sets the pin on if any alert is open, else off; returns false if the board refused."""
        return self._set(any_open, alert.condition_id)

    def _set(self, on: bool, why: str) -> bool:
        try:
            self._pin.set(on == self._active_high)
        except BusError as error:
            log.warning("alert output %s: %s: the pin was not set: %s", self.output_id, why, error)
            return False
        return True

    def close(self) -> None:
        """Sets the pin off and releases it."""
        self._pin.close()
