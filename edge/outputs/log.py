"""Writes alerts to the log; every gateway has this output."""

import logging

from contract.records import Alert, AlertState

__all__ = ["LogOutput"]

log = logging.getLogger("dewline.alert")


class LogOutput:
    """Writes one line per change; raised ones as warnings."""

    output_id = "log"

    def resume(self, *, any_open: bool) -> None:
        """Writes a line if alerts raised before the start are still open."""
        if any_open:
            log.warning("alerts raised before this start are still open")

    def show(self, alert: Alert, *, any_open: bool) -> bool:
        """Writes the line; returns true."""
        del any_open
        level = logging.WARNING if alert.state is AlertState.RAISED else logging.INFO
        value = "no value" if alert.value is None else f"{alert.value:g}"
        log.log(level, "%s %s (%s, %s)", alert.condition_id, alert.state, alert.basis, value)
        return True

    def close(self) -> None:
        """Does nothing: the log needs no release."""
