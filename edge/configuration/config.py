"""Reads the gateway's TOML file into frozen dataclasses and checks it, without any hardware.

A sensor's own keys (address, pin) stay an untyped table here: only the sensor's driver knows their
types. `edge.configuration.sections` defines the tables.
"""

import logging
import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from contract.errors import ConfigError, ContractError
from contract.quantities import Quantity
from contract.signals import Signal
from contract.typed import Id, build
from edge.configuration.sections import (
    BUILD_DATE,
    AlertOutputConfig,
    BoardConfig,
    BoardKind,
    ClockConfig,
    CommitConfig,
    ModelsConfig,
    OutboxConfig,
    Profile,
    SensorConfig,
    UplinkConfig,
)
from models.conditions import Condition, load_conditions, read_conditions, signals_of
from transport.tls import require_pair, tls_files

__all__ = [
    "AlertOutputConfig",
    "BoardConfig",
    "BoardKind",
    "ClockConfig",
    "CommitConfig",
    "GatewayConfig",
    "ModelsConfig",
    "OutboxConfig",
    "Profile",
    "SensorConfig",
    "UplinkConfig",
    "load_config",
    "parse_config",
]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """The whole file.

    Attributes:
        device_id: Name of this gateway in the fleet.
        outbox: The durable queue.
        uplink: The broker. If absent, the gateway measures, alerts and stores, but does not send.
        board: The hardware.
        clock: When the gateway trusts the system clock.
        commit: When the open block is committed.
        alert_output: An output pin for alerts. If absent, alerts go to the log only.
        sensor: The chips.
        condition: The conditions that raise alerts.
        conditions_file: TOML file with more `[[condition]]` tables and nothing else. All gateways
            of a fleet can share it: a gateway uses only the conditions for which it has sensors.
            A relative path starts at the folder of this configuration file.
        models: Forecasts by models. If absent, the gateway evaluates rules only.
    """

    device_id: Id
    outbox: OutboxConfig
    sensor: tuple[SensorConfig, ...]
    condition: tuple[Condition, ...] = ()
    conditions_file: str | None = None
    uplink: UplinkConfig | None = None
    board: BoardConfig = field(default_factory=BoardConfig)
    clock: ClockConfig = field(default_factory=ClockConfig)
    commit: CommitConfig = field(default_factory=CommitConfig)
    alert_output: AlertOutputConfig | None = None
    models: ModelsConfig | None = None


def load_config(path: Path) -> GatewayConfig:
    """Returns the configuration in a TOML file.

    Raises:
        ConfigError: The file is missing or not TOML, or a key is unknown, missing or wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return parse_config(table, str(path), path.parent)


def parse_config(table: dict[str, Any], where: str, folder: Path = Path()) -> GatewayConfig:
    """Returns the configuration in a parsed table.

    Args:
        table: The result of the TOML parser.
        where: Name of the file in error messages.
        folder: Folder at which a relative `conditions_file` starts.

    Raises:
        ConfigError: A key is unknown, missing or wrong.
    """
    own = load_conditions(table.get("condition", []), where)
    try:
        config = build(GatewayConfig, {**table, "condition": []}, where)
    except ContractError as error:
        raise ConfigError(str(error).removeprefix("bad_field: ")) from error
    _check_sensors(config, where)
    _check_floor(config, where)
    _check_models(config, where)
    _check_tls(config, where)
    config = _with_certificate(config)
    for condition in own:
        _check_signals(condition, config, where)
    return replace(config, condition=own + _shared_conditions(config, own, where, folder))


def _shared_conditions(
    config: GatewayConfig, own: tuple[Condition, ...], where: str, folder: Path
) -> tuple[Condition, ...]:
    if config.conditions_file is None:
        return ()
    path = folder / config.conditions_file
    try:
        shared = read_conditions(path)
    except ConfigError as error:
        raise ConfigError(f"{where}: conditions_file: {error}") from error
    if twice := sorted({c.id for c in own} & {c.id for c in shared}):
        raise ConfigError(f"{where}: [[condition]] {twice[0]}: id: also declared in {path}")
    foreign = {c.id: signals for c in shared if (signals := _foreign_signals(c, config))}
    for name, signals in foreign.items():
        _LOG.info(
            "%s: [[condition]] %s is ignored: this gateway has no sensor for %s",
            path,
            name,
            signals[0],
        )
    return tuple(c for c in shared if c.id not in foreign)


def _foreign_signals(condition: Condition, config: GatewayConfig) -> list[Signal]:
    """Returns the condition's signals that no sensor of this gateway measures."""
    sensors = {sensor.id for sensor in config.sensor}
    return [signal for signal in signals_of(condition) if signal.sensor_id not in sensors]


def _check_models(config: GatewayConfig, where: str) -> None:
    if config.models is not None and not config.models.trusted_keys:
        raise ConfigError(
            f"{where}: [models] trusted_keys: expected at least one file with a public key"
        )


def _check_tls(config: GatewayConfig, where: str) -> None:
    if (uplink := config.uplink) is not None:
        tls_files(f"{where}: [uplink]", uplink.ca_file, uplink.certificate_file, uplink.key_file)
    models = config.models
    if models is None:
        return
    require_pair(f"{where}: [models]", models.certificate_file, models.key_file)
    for key in ("ca_file", "certificate_file", "token_file"):
        if getattr(models, key) is not None and not models.url.startswith("https:"):
            raise ConfigError(
                f"{where}: [models] {key}: allowed only if url begins with https, found "
                f"{models.url}"
            )


def _with_certificate(config: GatewayConfig) -> GatewayConfig:
    """Returns the configuration in which `[models]` has the certificate of `[uplink]`.

    A certificate or a token of its own, and http, need none.
    """
    models, uplink = config.models, config.uplink
    if models is None or uplink is None or not models.url.startswith("https:"):
        return config
    if models.certificate_file is not None or models.token_file is not None:
        return config
    own = replace(models, certificate_file=uplink.certificate_file, key_file=uplink.key_file)
    return replace(config, models=own)


def _check_sensors(config: GatewayConfig, where: str) -> None:
    seen: set[str] = set()
    for sensor in config.sensor:
        if sensor.id in seen:
            raise ConfigError(f"{where}: [[sensor]] {sensor.id}: id: two sensors have this id")
        seen.add(sensor.id)
        for name, decimals in sensor.decimals.items():
            if name not in list(Quantity) or type(decimals) is not int or not 0 <= decimals <= 9:
                known = ", ".join(Quantity)
                raise ConfigError(
                    f"{where}: [[sensor]] {sensor.id}: decimals: expected <quantity> = 0 to 9, "
                    f"found {name} = {decimals!r}; quantities are {known}"
                )
    if not config.sensor:
        raise ConfigError(f"{where}: sensor: expected at least one [[sensor]]")


def _check_floor(config: GatewayConfig, where: str) -> None:
    try:
        named = datetime.fromisoformat(config.clock.floor).tzinfo is not None
    except ValueError:
        named = False
    if not named:
        raise ConfigError(
            f"{where}: [clock] floor: expected a date and time with an offset, such as "
            f"{BUILD_DATE}, found {config.clock.floor!r}"
        )


def _check_signals(condition: Condition, config: GatewayConfig, where: str) -> None:
    if foreign := _foreign_signals(condition, config):
        raise ConfigError(
            f"{where}: [[condition]] {condition.id}: {foreign[0]}: no [[sensor]] declares this "
            f"sensor; declared are {', '.join(sensor.id for sensor in config.sensor)}"
        )
