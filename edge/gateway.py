"""The gateway's composition root: configuration in, a running gateway out.

The only place where boards, drivers, outbox and connections are chosen. Nothing here decides
anything while it runs.
"""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contract.blocks import Series
from contract.errors import ConfigError, ContractError
from contract.keys import stream_id
from contract.quantities import QUANTITY_FACTS, Quantity
from contract.typed import build
from edge.alerts import Alerts, Output
from edge.clock import SenseClock
from edge.config import BoardKind, GatewayConfig, SensorConfig
from edge.errors import OutboxCorrupt
from edge.journal import Committed, Journal, trace_line
from edge.mqtt import connect
from edge.outbox import Outbox, QueuedBlock
from edge.outputs.gpio import GpioOutput
from edge.outputs.log import LogOutput
from edge.recovery import open_outbox, set_aside
from edge.sampler import Sampler, Sensor
from edge.sense import Queue, Rhythm, SenseLoop, Senses
from edge.uplink import SendLoop
from edge.window import Window
from firmware_bridge import chips
from firmware_bridge.board import Board
from firmware_bridge.linux import LinuxBoard
from firmware_bridge.simulated.board import SimulatedBoard
from firmware_bridge.simulated.feeds import Feed, WaveFeed, read_recording
from models.conditions import signals_of

__all__ = ["Trace", "board_for", "check", "run", "sensors_for"]

log = logging.getLogger(__name__)

_DEFAULT_HELD_S = 900.0
_STOP_GRACE_S = 5.0  # for a goodbye to the broker


@dataclass(slots=True)
class Trace:
    """Tells an observer outside the process what was committed, one line of JSON a block.

    An observer that goes away does not stop the gateway.

    Attributes:
        descriptor: An open file descriptor, usually the end of a pipe.
    """

    descriptor: int
    _broken: bool = False

    def write(self, committed: Committed) -> None:
        """Writes the lines; called when the commit has returned."""
        if self._broken:
            return
        lines = "".join(trace_line(block) for block in committed.blocks).encode("ascii")
        try:
            while lines:
                lines = lines[os.write(self.descriptor, lines) :]
        except OSError as error:
            self._broken = True
            log.error("trace: descriptor %d: %s; no more lines", self.descriptor, error.strerror)


@dataclass(frozen=True, slots=True)
class _NoUplink:
    """The send loop of a gateway without `[uplink]`: it keeps everything."""

    def backlog_drained(self) -> bool:
        return False

    def take_damaged(self) -> list[QueuedBlock]:
        return []


def check(config: GatewayConfig) -> list[str]:
    """What a person should know before starting; an empty list is all well.

    Touches neither hardware nor network.

    Raises:
        ConfigError: A driver is unknown or its keys are wrong.
    """
    remarks = _check_quantities(config)
    folder = Path(config.outbox.path).parent
    if not os.access(folder, os.W_OK):
        remarks.append(f"[outbox] path: {folder} cannot be written to")
    if config.uplink is None:
        remarks.append("[uplink] is absent: readings are kept, never sent")
    elif config.uplink.password_file and not os.access(config.uplink.password_file, os.R_OK):
        remarks.append(f"[uplink] password_file: {config.uplink.password_file} cannot be read")
    if config.board.recording and not os.access(config.board.recording, os.R_OK):
        remarks.append(f"[board] recording: {config.board.recording} cannot be read")
    return remarks


def _check_quantities(config: GatewayConfig) -> list[str]:
    measured = {s.id: [q.value for q in _quantities(s, _driver_config(s))] for s in config.sensor}
    remarks = [
        f"[[sensor]] {sensor.id}: decimals: it does not measure {name}"
        for sensor in config.sensor
        for name in sensor.decimals
        if name not in measured[sensor.id]
    ]
    for condition in config.condition:
        for signal in signals_of(condition):
            sensor_id, quantity = signal.split("/")
            if quantity not in measured[sensor_id]:
                remarks.append(f"[[condition]] {condition.id}: {sensor_id} measures no {quantity}")
    return remarks


def board_for(config: GatewayConfig, clock: SenseClock) -> Board:
    """The configured board; a simulated one has every configured chip plugged in."""
    if config.board.kind is BoardKind.LINUX:
        return LinuxBoard(pulseio=config.board.pulseio)

    def wall_s() -> float:
        utc_ms = clock.utc_ms()
        return clock.monotonic_s() if utc_ms is None else utc_ms / 1000

    board = SimulatedBoard(clock=clock, wall_s=wall_s)
    feed: Feed = WaveFeed()
    if config.board.recording is not None:
        feed = read_recording(
            Path(config.board.recording), max_age_s=config.board.recording_max_age_s
        )
    for sensor in config.sensor:
        board.plug(_driver_config(sensor), feed)
    return board


def sensors_for(config: GatewayConfig, board: Board, clock: SenseClock) -> list[Sensor]:
    """The configured sensors; none is opened yet.

    Raises:
        ConfigError: A driver is unknown or its keys are wrong.
    """
    return [_sensor(s, board, clock) for s in config.sensor]


def _sensor(config: SensorConfig, board: Board, clock: SenseClock) -> Sensor:
    typed = _driver_config(config)
    driver = chips.load(config.driver)
    series = tuple(
        Series(q, config.decimals.get(q.value, QUANTITY_FACTS[q].decimals))
        for q in _quantities(config, typed)
    )
    return Sensor(
        sensor_id=config.id,
        interval_s=config.interval_s,
        series=series,
        open=lambda: driver.open(typed, board, clock),
    )


def _driver_config(sensor: SensorConfig) -> Any:
    where = f"[[sensor]] {sensor.id}"
    driver = chips.load(sensor.driver)
    try:
        return build(driver.Config, sensor.options, f"{where} options")
    except (ContractError, ConfigError) as error:
        raise ConfigError(f"{where}: {str(error).removeprefix('bad_field: ')}") from error


def _quantities(sensor: SensorConfig, typed: Any) -> tuple[Quantity, ...]:
    quantities: tuple[Quantity, ...] = getattr(
        typed, "quantities", chips.load(sensor.driver).QUANTITIES
    )
    return quantities


def run(config: GatewayConfig, clock: SenseClock, trace: Trace | None = None) -> None:
    """Runs the gateway until the clock says stop; returns when all is committed and drained.

    Args:
        config: The configuration.
        clock: The sense clock.
        trace: Where to tell what was committed.

    Raises:
        ConfigError: A driver or its keys are wrong.
        OutboxError: The outbox cannot be opened, or was damaged while it ran.
    """
    try:
        _run(config, clock, trace)
    except OutboxCorrupt:
        kept = set_aside(Path(config.outbox.path))
        log.error("the outbox is damaged; kept as %s, the next start begins a new one", kept)
        raise


def _run(config: GatewayConfig, clock: SenseClock, trace: Trace | None) -> None:
    with ExitStack() as cleanup:
        board = board_for(config, clock)
        cleanup.callback(board.close)
        outbox = open_outbox(Path(config.outbox.path))
        cleanup.callback(outbox.close)
        sender = _sender(config)

        def on_commit(committed: Committed) -> None:
            if trace is not None:
                trace.write(committed)
            if sender is not None:
                sender.notice()

        loop = _sense_loop(config, clock, board, outbox, sender or _NoUplink(), on_commit)
        if sender is not None and config.uplink is not None:
            cleanup.callback(_started(sender, config.uplink.drain_s))
        loop.run()


def _started(sender: SendLoop, drain_s: float) -> Callable[[], None]:
    """Starts the send loop in its thread; returns what stops it."""
    # a daemon: a connect that hangs must not keep the gateway from ending, and what it cuts off
    # there is no worse than a power cut
    thread = threading.Thread(target=sender.run, name="send", daemon=True)
    thread.start()

    def stop() -> None:
        sender.stop(drain_s)
        thread.join(drain_s + _STOP_GRACE_S)
        if thread.is_alive():
            log.warning("uplink: still connecting; left behind")

    return stop


def _sender(config: GatewayConfig) -> SendLoop | None:
    uplink = config.uplink
    if uplink is None:
        return None
    return SendLoop(
        config.device_id,
        uplink,
        open_outbox=lambda: Outbox(Path(config.outbox.path), durable=False),
        connect=lambda news: connect(config.device_id, uplink, news),
    )


def _sense_loop(
    config: GatewayConfig,
    clock: SenseClock,
    board: Board,
    outbox: Outbox,
    queue: Queue,
    on_commit: Callable[[Committed], None],
) -> SenseLoop:
    window = outbox.recall("window")
    senses = Senses(
        clock=clock,
        sampler=Sampler(sensors_for(config, board, clock)),
        alerts=Alerts(config.condition, _outputs(config, board), outbox.recall("alerts")),
        window=Window() if window is None else Window.load(window),
        journal=Journal(outbox, stream_id(os.urandom(8)), on_commit),
        outbox=outbox,
        queue=queue,
        version=version("dewline"),
    )
    held_s = _DEFAULT_HELD_S if config.uplink is None else config.uplink.held_s
    return SenseLoop(senses, Rhythm(config.commit, held_s), outbox.stream_end())


def _outputs(config: GatewayConfig, board: Board) -> list[Output]:
    outputs: list[Output] = [LogOutput()]
    if config.alert_output is not None:
        o = config.alert_output
        outputs.append(GpioOutput(o.id, board.output(o.pin), active_high=o.active_high))
    return outputs
