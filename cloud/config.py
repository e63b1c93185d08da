"""The cloud's configuration: one TOML file, frozen, strict.

Every section may be absent; the command that needs one says so. Secrets are paths to files, never
values. Reading it touches neither network nor lake.
"""

import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from contract.errors import ConfigError, ContractError
from contract.typed import Between, Id, Pattern, build
from models.conditions import Condition, read_conditions

__all__ = [
    "ApiConfig",
    "CloudConfig",
    "FleetConfig",
    "IngestConfig",
    "LakeConfig",
    "Period",
    "RegistryConfig",
    "RolloutConfig",
    "SearchConfig",
    "SparkConfig",
    "WarehouseConfig",
    "fleet_conditions",
    "load_config",
    "need",
    "read_secret",
]

T = TypeVar("T")
Port = Annotated[int, Between(1, 65_535)]
Text = Annotated[str, Pattern(r"[^\x00-\x1f]{1,500}", "1 to 500 characters on one line")]


class Period(StrEnum):
    """How long a piece of time one index or one partition of a derived table covers."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeConfig:
    """Section `[lake]`.

    Attributes:
        root: Folder of the lake; its parent must exist.
        grace_s: A landing file stays at least so long, seconds.
        period: Of indices and of partitions of derived tables, by observed time.
    """

    root: Text
    grace_s: Annotated[float, Between(0, 10**9)] = 600.0
    period: Period = Period.DAY

    @property
    def folder(self) -> Path:
        """The lake's folder."""
        return Path(self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Section `[ingest]`.

    Attributes:
        node: Name of this node; ingest processes that run at once may share it.
        host: The broker.
        port: Its port.
        username: Account on the broker.
        password_file: File that holds its password.
        gather_ms: A file is committed at the latest so long after its first block came.
        gather_bytes: And at the latest with so many bytes of payload.
        receive_maximum: Blocks that the broker sends before the first is answered, per lane.
    """

    node: Id
    host: Text = "127.0.0.1"
    port: Port = 1883
    username: Text | None = None
    password_file: Text | None = None
    gather_ms: Annotated[int, Between(1, 60_000)] = 250
    gather_bytes: Annotated[int, Between(1, 2**28)] = 8_000_000
    receive_maximum: Annotated[int, Between(2, 65_535)] = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """Section `[search]`.

    Attributes:
        url: Of Elasticsearch.
        prefix: All indices begin with it.
    """

    url: Text
    prefix: Id = "dewline"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseConfig:
    """Section `[warehouse]`.

    Attributes:
        host: Of the MySQL server.
        port: Its port.
        user: Account.
        password_file: File that holds its password; absent: no password.
        database: Name of the database.
    """

    host: Text = "127.0.0.1"
    port: Port = 3306
    user: Text = "dewline"
    password_file: Text | None = None
    database: Text = "dewline"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkConfig:
    """Section `[spark]`.

    Attributes:
        jars: Paths of the jars that Spark loads.
        memory: Heap of the driver.
        master: Spark's master.
        shuffle_partitions: Parts that a shuffle makes.
    """

    jars: tuple[Text, ...] = ()
    memory: Text = "1g"
    master: Text = "local[2]"
    shuffle_partitions: Annotated[int, Between(1, 10_000)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Section `[registry]`.

    Attributes:
        folder: Where bundles are kept; its parent must exist.
        signing_key: File of the private key that signs bundles and desired states.
    """

    folder: Text
    signing_key: Text | None = None

    @property
    def path(self) -> Path:
        """The registry's folder."""
        return Path(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """Section `[rollout]`.

    Attributes:
        host: The broker.
        port: Its port.
        username: Account on the broker; it may write only what devices should run.
        password_file: File that holds its password.
        poll_s: How often the warehouse is asked for changes, seconds.
    """

    host: Text = "127.0.0.1"
    port: Port = 1883
    username: Text | None = None
    password_file: Text | None = None
    poll_s: Annotated[float, Between(0.05, 3600)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Section `[api]`.

    Attributes:
        host: Address to listen at.
        port: Port to listen at; 0 takes any that is free and prints it.
    """

    host: Text = "127.0.0.1"
    port: Annotated[int, Between(0, 65_535)] = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig:
    """Section `[fleet]`.

    Attributes:
        conditions_file: File of `[[condition]]` tables, the one that the gateways name too.
    """

    conditions_file: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sections:
    lake: LakeConfig | None = None
    ingest: IngestConfig | None = None
    search: SearchConfig | None = None
    warehouse: WarehouseConfig | None = None
    spark: SparkConfig | None = None
    registry: RegistryConfig | None = None
    rollout: RolloutConfig | None = None
    api: ApiConfig | None = None
    fleet: FleetConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig(_Sections):
    """The whole file; sections that it lacks are None.

    Attributes:
        source: Name of the file, for messages.
    """

    source: str


def load_config(path: Path) -> CloudConfig:
    """The configuration in a TOML file.

    Raises:
        ConfigError: With the file, the table and the key, and what was expected.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        sections = build(_Sections, table, str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ContractError as error:
        raise ConfigError(str(error).removeprefix(f"{error.code}: ")) from error
    parts = {f.name: getattr(sections, f.name) for f in fields(_Sections)}
    return CloudConfig(source=str(path), **parts)


def need(section: T | None, name: str, config: CloudConfig) -> T:
    """A section that a command cannot do without.

    Raises:
        ConfigError: The file lacks it.
    """
    if section is None:
        raise ConfigError(f"{config.source}: section [{name}] is missing; this command needs it")
    return section


def fleet_conditions(config: CloudConfig) -> tuple[Condition, ...]:
    """What the fleet watches, from the file that section `[fleet]` names.

    Raises:
        ConfigError: The section or the file is missing, or a declaration is wrong.
    """
    return read_conditions(Path(need(config.fleet, "fleet", config).conditions_file))


def read_secret(path: str | None) -> str | None:
    """The first line of a secret's file; None if no file is configured.

    Raises:
        ConfigError: The file cannot be read.
    """
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8").split("\n", 1)[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"the secret's file {path} cannot be read: {error}") from error
