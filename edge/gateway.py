"""Builds and runs a gateway from its configuration; the composition root.

Boards, drivers, outbox, connections and models are chosen only here, in `edge.sensing.hardware` and
in `edge.with_models`. This module only connects the parts; it has no logic of a running gateway.
"""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import ConfigError
from contract.keys import stream_id
from edge.clock import SenseClock
from edge.configuration.config import GatewayConfig
from edge.errors import OutboxCorrupt
from edge.forecasting.forecast_alerts import ForecastAlerts
from edge.forecasting.forecasting import Forecasting, NoModels
from edge.forecasting.window import Window
from edge.outputs.gpio import GpioOutput
from edge.outputs.log import LogOutput
from edge.outputs.notifications import Notifications, Output
from edge.sending.mqtt import connect
from edge.sending.send_loop import SendLoop
from edge.sense_loop import Queue, Rhythm, SenseLoop, Senses
from edge.sensing.alerts import Alerts
from edge.sensing.hardware import board_for, sensors_for
from edge.sensing.sampler import Sampler
from edge.storage.journal import Committed, Journal
from edge.storage.outbox import Outbox, QueuedBlock
from edge.storage.recovery import open_outbox, set_aside
from edge.storage.trace import Trace
from edge.supervisor import Supervisor
from firmware_bridge.board import Board

if TYPE_CHECKING:
    from edge.with_models import WithModels

__all__ = ["Trace", "board_for", "run", "sensors_for"]

log = logging.getLogger(__name__)

_DEFAULT_HELD_S = 900.0
_STOP_GRACE_S = 5.0  # extra time at a stop to disconnect from the broker


@dataclass(frozen=True, slots=True)
class _NoUplink:
    """Stands for the send loop of a gateway without `[uplink]`, which sends nothing."""

    def backlog_drained(self) -> bool:
        return False

    def take_damaged(self) -> list[QueuedBlock]:
        return []


def run(
    config: GatewayConfig,
    clock: SenseClock,
    trace: Trace | None = None,
    supervisor: Supervisor | None = None,
) -> None:
    """Runs the gateway until the clock says stop; returns when all is committed and drained.

    Args:
        config: The configuration.
        clock: The sense clock.
        trace: Receives a line for each committed block; None for no trace.
        supervisor: The process's supervisor; None if there is none.

    Raises:
        ConfigError: A driver or its keys are wrong.
        OutboxError: The outbox cannot be opened, or was damaged while it ran.
    """
    try:
        _run(config, clock, trace, supervisor or Supervisor())
    except OutboxCorrupt:
        kept = set_aside(Path(config.outbox.path))
        log.error("outbox: damaged, renamed to %s. The next start creates a new outbox", kept)
        raise


def _run(
    config: GatewayConfig, clock: SenseClock, trace: Trace | None, supervisor: Supervisor
) -> None:
    with ExitStack() as cleanup:
        board = board_for(config, clock)
        cleanup.callback(board.close)
        outbox = open_outbox(Path(config.outbox.path))
        cleanup.callback(outbox.close)
        models = _with_models(config)
        sender = _sender(config, models)
        ends = _Ends(
            board=board,
            outbox=outbox,
            queue=sender or _NoUplink(),
            models=models,
            on_commit=_on_commit(trace, sender),
            supervisor=supervisor,
        )
        loop = _sense_loop(config, clock, ends)
        if models is not None:
            models.updates.start()
            cleanup.callback(models.updates.stop)
        if sender is not None and config.uplink is not None:
            cleanup.callback(_started(sender, config.uplink.drain_s))
        loop.run()


def _on_commit(trace: Trace | None, sender: SendLoop | None) -> Callable[[Committed], None]:
    """Returns a function that reports a commit to the trace and to the send loop."""

    def tell(committed: Committed) -> None:
        if trace is not None:
            trace.write(committed)
        if sender is not None:
            sender.wake()

    return tell


def _started(sender: SendLoop, drain_s: float) -> Callable[[], None]:
    """Starts the send loop in its thread; returns the function that stops it."""
    # A daemon thread: a hanging connect must not stop the gateway from exiting. Ending this thread
    # is as safe as a power cut.
    thread = threading.Thread(target=sender.run, name="send", daemon=True)
    thread.start()

    def stop() -> None:
        sender.stop(drain_s)
        thread.join(drain_s + _STOP_GRACE_S)
        if thread.is_alive():
            log.warning("uplink: the send loop did not stop in time: its thread is abandoned")

    return stop


def _with_models(config: GatewayConfig) -> "WithModels | None":
    if config.models is None:
        return None
    try:
        from edge.with_models import compose  # noqa: PLC0415 - numpy only where models run

        return compose(config.device_id, config.condition, config.models)
    except ImportError as error:
        raise ConfigError(
            f"[models]: {error}. Install dewline with its extra `edge`, or remove the table"
        ) from error


def _sender(config: GatewayConfig, models: "WithModels | None") -> SendLoop | None:
    uplink = config.uplink
    if uplink is None:
        return None
    return SendLoop(
        config.device_id,
        uplink,
        open_outbox=lambda: Outbox(Path(config.outbox.path), durable=False),
        connect=lambda news: connect(config.device_id, uplink, news, desired=models is not None),
        on_desired=None if models is None else models.updates.offer,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Holds the parts that the sense loop is connected to."""

    board: Board
    outbox: Outbox
    queue: Queue
    models: "WithModels | None"
    on_commit: Callable[[Committed], None]
    supervisor: Supervisor


def _sense_loop(config: GatewayConfig, clock: SenseClock, ends: _Ends) -> SenseLoop:
    outbox = ends.outbox
    notifications = Notifications(_outputs(config, ends.board))
    senses = Senses(
        clock=clock,
        sampler=Sampler(sensors_for(config, ends.board, clock)),
        notifications=notifications,
        alerts=Alerts(config.condition, notifications, outbox.recall("alerts")),
        forecasting=_forecasting(config, ends, notifications),
        journal=Journal(outbox, stream_id(os.urandom(8)), ends.on_commit),
        outbox=outbox,
        queue=ends.queue,
        version=version("dewline"),
        supervisor=ends.supervisor,
    )
    held_s = _DEFAULT_HELD_S if config.uplink is None else config.uplink.held_s
    return SenseLoop(senses, Rhythm(config.commit, held_s), outbox.stream_end())


def _forecasting(config: GatewayConfig, ends: _Ends, notifications: Notifications) -> Forecasting:
    recall = ends.outbox.recall
    models = NoModels() if ends.models is None else ends.models.in_use
    return Forecasting(
        Window.recalled(recall, exact=ends.models is not None),
        models,
        ForecastAlerts(config.condition, models, notifications, recall("forecasts")),
    )


def _outputs(config: GatewayConfig, board: Board) -> list[Output]:
    outputs: list[Output] = [LogOutput()]
    if config.alert_output is not None:
        o = config.alert_output
        outputs.append(GpioOutput(o.id, board.output(o.pin), active_high=o.active_high))
    return outputs
