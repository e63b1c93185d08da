"""Shows each alert on every output, and keeps the set of open alerts.

All alerts, observed and forecast, go through one `Notifications`: an output is on while any alert
is open. Nothing is stored here. The code that raises an alert stores it, and calls `reopen` after a
restart. Only the sense loop uses this module.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from contract.records import Alert, AlertState, Receipt

__all__ = ["Notifications", "Output"]


class Output(Protocol):
    """An output that shows alerts at the machine, such as the log, or a pin with a buzzer."""

    output_id: str

    def resume(self, *, any_open: bool) -> None:
        """Shows at the start whether an alert of the last stream is still open."""
        ...

    def show(self, alert: Alert, *, any_open: bool) -> bool:
        """Shows the change; returns true if that succeeded."""
        ...

    def close(self) -> None:
        """Releases the hardware; a second call does nothing."""
        ...


class Notifications:
    """Manages all outputs of one gateway.

    Args:
        outputs: The outputs, in the order in which they are notified.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = tuple(outputs)
        self._open: set[str] = set()

    def reopen(self, alert_id: str) -> None:
        """Marks an alert raised before the start as open; call it before `resume`."""
        self._open.add(alert_id)

    def resume(self) -> None:
        """Shows on every output whether an alert is still open."""
        for output in self._outputs:
            output.resume(any_open=bool(self._open))

    def tell(self, alert: Alert) -> Alert:
        """Notifies every output; returns the alert with its receipts."""
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
