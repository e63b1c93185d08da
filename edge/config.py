"""The gateway's configuration: one TOML file to frozen dataclasses, checked without any hardware.

A sensor's own keys (address, pin) stay a table here: only its driver can type them, which the
composition root lets it do.
"""

import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from contract.errors import ConfigError, ContractError
from contract.quantities import QUANTITY_FACTS, Quantity
from contract.typed import Between, Id, build
from firmware_bridge.linux import PulseioMode
from models.conditions import Condition, load_conditions, signals_of

__all__ = [
    "AlertOutputConfig",
    "BoardConfig",
    "BoardKind",
    "ClockConfig",
    "CommitConfig",
    "GatewayConfig",
    "OutboxConfig",
    "Profile",
    "SensorConfig",
    "UplinkConfig",
    "load_config",
    "parse_config",
]

BUILD_DATE = "2026-11-01T00:00:00Z"  # the default floor: no earlier clock can be right

Port = Annotated[int, Between(1, 65_535)]
PositiveSeconds = Annotated[float, Between(0.001, 1e7)]


class BoardKind(StrEnum):
    """Which board carries the chips."""

    LINUX = "linux"
    SIMULATED = "simulated"


class Profile(StrEnum):
    """Named commit rhythms."""

    LIVE = "live"  # 1 s blocks
    SAVER = "saver"  # 30 s blocks, for flash and metered lines


_RHYTHM_S = {Profile.LIVE: 1.0, Profile.SAVER: 30.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfig:
    """`[board]`: the hardware.

    Attributes:
        kind: linux or simulated.
        recording: For a simulated board: CSV file that feeds its chips; absent: a made day.
        recording_max_age_s: An older row of the recording no longer counts: the chip is silent.
        pulseio: How a DHT's pulses are captured: auto, true or false.
    """

    kind: BoardKind = BoardKind.LINUX
    recording: str | None = None
    recording_max_age_s: PositiveSeconds = 1800.0
    pulseio: PulseioMode = PulseioMode.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfig:
    """`[clock]`: when UTC is believed.

    Attributes:
        floor: RFC 3339 instant; an earlier wall clock is taken for unset.
    """

    floor: str = BUILD_DATE

    @property
    def floor_ms(self) -> int:
        """The floor, ms since 1970 UTC."""
        return round(datetime.fromisoformat(self.floor).astimezone(UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitConfig:
    """`[commit]`: when the open block closes.

    Attributes:
        profile: live (1 s) or saver (30 s).
        rhythm_s: Own rhythm instead of the profile's, seconds of the sense clock.
        records: The block is committed when another reading might not fit into so many records.
        status_s: A Status record at least this often, seconds of the sense clock.
    """

    profile: Profile = Profile.LIVE
    rhythm_s: PositiveSeconds | None = None
    records: Annotated[int, Between(1, 10_000)] = 1000
    status_s: PositiveSeconds = 900.0

    @property
    def effective_rhythm_s(self) -> float:
        """Seconds after which an open block is committed."""
        return self.rhythm_s or _RHYTHM_S[self.profile]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """`[outbox]`: the durable queue.

    Attributes:
        path: SQLite file; its folder must exist.
    """

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkConfig:
    """`[uplink]`: the broker.

    Attributes:
        host: Name or address of the broker.
        port: Its port.
        username: The device's id, by which the broker limits its topics.
        password_file: File that holds nothing but the password.
        window: At most this many blocks wait for the cloud's ack at once.
        ack_timeout_s: A block without an ack is sent again after this time, doubled each time.
        retry_max_s: Longest wait between two connections or two sendings, seconds.
        stable_s: A connection that lasted so long resets the back-off, seconds.
        drain_s: At an orderly stop the queue is sent for at most this long, seconds.
        held_s: A Held record at least this often, real seconds.
    """

    host: str
    port: Port = 1883
    username: Id | None = None
    password_file: str | None = None
    window: Annotated[int, Between(2, 1000)] = 64
    ack_timeout_s: PositiveSeconds = 10.0
    retry_max_s: PositiveSeconds = 120.0
    stable_s: PositiveSeconds = 30.0
    drain_s: Annotated[float, Between(0, 3600)] = 10.0
    held_s: PositiveSeconds = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOutputConfig:
    """`[alert_output]`: one GPIO pin that is on while any alert is open.

    Attributes:
        id: Name in the alert's receipts.
        pin: BCM number.
        active_high: Level that means on.
    """

    id: Id = "led"
    pin: Annotated[int, Between(0, 63)]
    active_high: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """`[[sensor]]`: one chip in one role.

    Attributes:
        id: Its role, such as `attic`.
        driver: Name of a module in `firmware_bridge.chips`.
        interval_s: Seconds between two readings.
        decimals: Own number of decimals per quantity instead of the contract's.
        options: The driver's own keys.
    """

    id: Id
    driver: Id
    interval_s: Annotated[float, Between(0.01, 86_400)]
    decimals: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """The whole file.

    Attributes:
        device_id: Name of this gateway in the fleet.
        outbox: The durable queue.
        uplink: The broker; absent: the gateway measures, alerts and keeps.
        board: The hardware.
        clock: When UTC is believed.
        commit: When the open block closes.
        alert_output: A pin for alerts; absent: alerts go to the log only.
        sensor: The chips.
        condition: What to warn of.
    """

    device_id: Id
    outbox: OutboxConfig
    sensor: tuple[SensorConfig, ...]
    condition: tuple[Condition, ...] = ()
    uplink: UplinkConfig | None = None
    board: BoardConfig = field(default_factory=BoardConfig)
    clock: ClockConfig = field(default_factory=ClockConfig)
    commit: CommitConfig = field(default_factory=CommitConfig)
    alert_output: AlertOutputConfig | None = None


def load_config(path: Path) -> GatewayConfig:
    """The configuration in a TOML file.

    Raises:
        ConfigError: The file is missing, not TOML, or says something wrong.
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
    return parse_config(table, str(path))


def parse_config(table: dict[str, Any], where: str) -> GatewayConfig:
    """The configuration in a parsed table.

    Args:
        table: What the TOML parser returned.
        where: File named in errors.

    Raises:
        ConfigError: A key is unknown, missing or wrong.
    """
    conditions = load_conditions(table.get("condition", []), where)
    try:
        config = build(GatewayConfig, {**table, "condition": []}, where)
    except ContractError as error:
        raise ConfigError(str(error).removeprefix("bad_field: ")) from error
    _check_sensors(config, where)
    _check_floor(config, where)
    for condition in conditions:
        _check_signals(condition, config, where)
    fields = {name: getattr(config, name) for name in GatewayConfig.__dataclass_fields__}
    return GatewayConfig(**{**fields, "condition": conditions})


def _check_sensors(config: GatewayConfig, where: str) -> None:
    seen: set[str] = set()
    for sensor in config.sensor:
        if sensor.id in seen:
            raise ConfigError(f"{where}: [[sensor]] {sensor.id}: id: used twice")
        seen.add(sensor.id)
        for name, decimals in sensor.decimals.items():
            if name not in list(Quantity) or type(decimals) is not int or not 0 <= decimals <= 9:
                known = ", ".join(QUANTITY_FACTS)
                raise ConfigError(
                    f"{where}: [[sensor]] {sensor.id}: decimals: expected <quantity> = 0 to 9 "
                    f"with a quantity of {known}, found {name} = {decimals!r}"
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
            f"{where}: [clock] floor: expected an instant such as {BUILD_DATE}, "
            f"found {config.clock.floor!r}"
        )


def _check_signals(condition: Condition, config: GatewayConfig, where: str) -> None:
    sensors = [s.id for s in config.sensor]
    for signal in signals_of(condition):
        if signal.split("/")[0] not in sensors:
            raise ConfigError(
                f"{where}: [[condition]] {condition.id}: {signal}: no such sensor; "
                f"known are {', '.join(sensors)}"
            )
