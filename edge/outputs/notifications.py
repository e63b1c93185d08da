"""Notifications: each alert shown on every output, and which alerts are open.

All alerts, observed and forecast, go through one `Notifications`: an output is on while any is
open.
Remembers nothing over a restart: who raises an alert stores it, and says at the start that it is
open still. Used by the sense loop alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from contract.records import Alert, AlertState, Receipt

__all__ = ["Notifications", "Output"]


class Output(Protocol):
    """What shows alerts to the people at the machine: a log, or a pin with a lamp or a buzzer."""

    output_id: str

    def resume(self, *, any_open: bool) -> None:
        """Shows at the start what the last stream left: whether any alert is open."""
        ...

    def show(self, alert: Alert, *, any_open: bool) -> bool:
        """Shows the change; true if it was taken."""
        ...

    def close(self) -> None:
        """Lets go of its hardware; a second call does nothing."""
        ...


class Notifications:
    """All outputs of one gateway.

    Args:
        outputs: Told in this order.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = tuple(outputs)
        self._open: set[str] = set()

    def reopen(self, alert_id: str) -> None:
        """An alert of the time before the start is open still; call it before `resume`."""
        self._open.add(alert_id)

    def resume(self) -> None:
        """Shows what was left open."""
        for output in self._outputs:
            output.resume(any_open=bool(self._open))

    def tell(self, alert: Alert) -> Alert:
        """The alert with its receipts: every output has been told when it returns."""
        if alert.state is AlertState.RAISED:
            self._open.add(alert.alert_id)
        else:
            self._open.discard(alert.alert_id)
        receipts = tuple(
            Receipt(output_id=o.output_id, delivered=o.show(alert, any_open=bool(self._open)))
            for o in self._outputs
        )
        return replace(alert, receipts=receipts)

    def close(self) -> None:
        """Closes the outputs."""
        for output in self._outputs:
            output.close()
