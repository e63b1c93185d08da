"""Creates the board and the sensors from the configuration; does not open any sensor.

This is a part of the composition root: the only place where boards and drivers are chosen.
"""

from pathlib import Path
from typing import Any

from contract.blocks import Series
from contract.errors import ConfigError, ContractError
from contract.quantities import Quantity
from contract.typed import build
from edge.clock import SenseClock
from edge.configuration.config import BoardKind, GatewayConfig, SensorConfig
from edge.sensing.sampler import Sensor
from firmware_bridge import chips
from firmware_bridge.board import Board
from firmware_bridge.linux import LinuxBoard
from firmware_bridge.simulated.board import SimulatedBoard
from firmware_bridge.simulated.feeds import Feed, read_recording
from firmware_bridge.simulated.waves import WaveFeed

__all__ = ["board_for", "driver_config", "quantities_of", "sensors_for"]


def board_for(config: GatewayConfig, clock: SenseClock) -> Board:
    """Returns the configured board; a simulated one has every configured chip plugged in."""
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
        board.plug(driver_config(sensor), feed)
    return board


def sensors_for(config: GatewayConfig, board: Board, clock: SenseClock) -> list[Sensor]:
    """Returns the configured sensors; none is open yet.

    Raises:
        ConfigError: A driver is unknown or its keys are wrong.
    """
    return [_sensor(s, board, clock) for s in config.sensor]


def _sensor(config: SensorConfig, board: Board, clock: SenseClock) -> Sensor:
    typed = driver_config(config)
    driver = chips.load(config.driver)
    series = tuple(
        Series(q, config.decimals.get(q.value, q.facts.decimals))
        for q in quantities_of(config, typed)
    )
    return Sensor(
        sensor_id=config.id,
        interval_s=config.interval_s,
        series=series,
        open=lambda: driver.open(typed, board, clock),
    )


def driver_config(sensor: SensorConfig) -> Any:
    """Returns a sensor's own keys as the typed configuration of its driver.

    Raises:
        ConfigError: The driver is unknown or its keys are wrong.
    """
    where = f"[[sensor]] {sensor.id}"
    driver = chips.load(sensor.driver)
    try:
        return build(driver.Config, sensor.options, f"{where} options")
    except (ContractError, ConfigError) as error:
        raise ConfigError(f"{where}: {str(error).removeprefix('bad_field: ')}") from error


def quantities_of(sensor: SensorConfig, typed: Any) -> tuple[Quantity, ...]:
    """Returns the quantities that a sensor measures; `typed` is its `driver_config`."""
    quantities: tuple[Quantity, ...] = getattr(
        typed, "quantities", chips.load(sensor.driver).QUANTITIES
    )
    return quantities
