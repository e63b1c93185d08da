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
from edge.errors import OutboxCorrupt, OutboxError, OutboxMoved
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
from edge.storage.outbox import Outbox
from edge.storage.queued import QueuedBlock
from edge.storage.recovery import Opened, open_outbox, rescue
from edge.storage.trace import Trace
from edge.supervisor import Supervisor
from firmware_bridge.board import Board

if TYPE_CHECKING:
    from edge.with_models import WithModels

__all__ = ["Trace", "board_for", "run", "sensors_for"]

log = logging.getLogger(__name__)

_DEFAULT_HELD_S = 900.0
_STOP_GRACE_S = 5.0  # extra time at a stop to disconnect from the broker
_FAILURE_GRACE_S = 1.0  # the same after a failure, because measuring waits for it
_MARGIN_S, _LEAST_MARGIN = 600.0, 50  # numbers that the end file reserves with one fsync
_RESTARTS = 3  # new streams after damage, before the supervisor must restart the process


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
        OutboxError: The outbox cannot be opened, or is damaged again and again.
    """
    suspect: OutboxCorrupt | None = None
    for restarts_left in range(_RESTARTS, -1, -1):
        try:
            _run(config, clock, (trace, supervisor or Supervisor()), suspect)
        except (OutboxCorrupt, OutboxMoved) as error:
            if not restarts_left:
                raise
            log.error("outbox: %s. The gateway begins a new stream", error)
            suspect = error if isinstance(error, OutboxCorrupt) else None
        else:
            return


def _run(
    config: GatewayConfig,
    clock: SenseClock,
    observers: tuple[Trace | None, Supervisor],
    suspect: OutboxCorrupt | None,
) -> None:
    trace, supervisor = observers
    with ExitStack() as cleanup:
        board = board_for(config, clock)
        cleanup.callback(board.close)
        opened = open_outbox(Path(config.outbox.path), suspect)
        cleanup.callback(opened.close)
        models = _with_models(config)
        sender = _sender(config, models)
        ends = _Ends(
            board=board,
            opened=opened,
            queue=sender or _NoUplink(),
            models=models,
            on_commit=_on_commit(trace, sender),
            supervisor=supervisor,
        )
        loop = _sense_loop(config, clock, ends)
        _start_threads(config, (models, sender), cleanup)
        _measure(loop, opened)


def _start_threads(
    config: GatewayConfig,
    parts: "tuple[WithModels | None, SendLoop | None]",
    cleanup: ExitStack,
) -> None:
    models, sender = parts
    if models is not None:
        models.updates.start()
        cleanup.callback(models.updates.stop)
    if sender is not None and config.uplink is not None:
        cleanup.push(_started(sender, config.uplink.drain_s))


def _measure(loop: SenseLoop, opened: Opened) -> None:
    try:
        loop.run()
    except OutboxError as error:
        loop.close()
        if isinstance(error, OutboxMoved):
            _rescue(loop, opened)
        raise


def _rescue(loop: SenseLoop, opened: Opened) -> None:
    """Puts an outbox into its place; if that fails, the next start reports the loss."""
    try:
        rescue(opened, loop.finish_on)
    except (OutboxError, OSError) as error:
        log.error("outbox: %s cannot be put into its place: %s", opened.outbox.path, error)


def _on_commit(trace: Trace | None, sender: SendLoop | None) -> Callable[[Committed], None]:
    """Returns a function that reports a commit to the trace and to the send loop."""

    def tell(committed: Committed) -> None:
        if trace is not None:
            trace.write(committed)
        if sender is not None:
            sender.wake()

    return tell


def _started(sender: SendLoop, drain_s: float) -> Callable[..., None]:
    """Starts the send loop in its thread; returns the exit function that stops it.

    After a failure of the sense loop it does not wait for the queue.
    """
    # A daemon thread: a hanging connect must not stop the gateway from exiting. Ending this thread
    # is as safe as a power cut.
    thread = threading.Thread(target=sender.run, name="send", daemon=True)
    thread.start()

    def stop(failure: type[BaseException] | None, *_details: object) -> None:
        limit_s, grace_s = (0.0, _FAILURE_GRACE_S) if failure else (drain_s, _STOP_GRACE_S)
        sender.stop(limit_s)
        thread.join(limit_s + grace_s)
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
        open_outbox=lambda: Outbox(Path(config.outbox.path), durable=False, create=False),
        connect=lambda news: connect(config.device_id, uplink, news, desired=models is not None),
        on_desired=None if models is None else models.updates.offer,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Holds the parts that the sense loop is connected to."""

    board: Board
    opened: Opened
    queue: Queue
    models: "WithModels | None"
    on_commit: Callable[[Committed], None]
    supervisor: Supervisor


def _sense_loop(config: GatewayConfig, clock: SenseClock, ends: _Ends) -> SenseLoop:
    outbox, left = ends.opened.outbox, ends.opened.left
    notifications = Notifications(_outputs(config, ends.board))
    sampler = Sampler(sensors_for(config, ends.board, clock))
    ends.opened.end_file.margin = max(_LEAST_MARGIN, sampler.readings_in(_MARGIN_S))
    senses = Senses(
        clock=clock,
        sampler=sampler,
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
    return SenseLoop(senses, Rhythm(config.commit, held_s), left.previous, left)


def _forecasting(config: GatewayConfig, ends: _Ends, notifications: Notifications) -> Forecasting:
    recall = ends.opened.outbox.recall
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
