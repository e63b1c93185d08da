"""Reads the cloud's configuration: one TOML file, in which unknown keys are errors.

Every section is optional; a command that needs a missing one fails. Secrets are paths to files,
never values. Reading uses neither network nor lake. The sections' keys are in `cloud.sections`
and `cloud.api_section`.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar
from zoneinfo import available_timezones

from cloud.api_section import ApiConfig
from cloud.sections import (
    CaConfig,
    FleetConfig,
    HealthConfig,
    IngestConfig,
    KibanaConfig,
    LakeConfig,
    Period,
    RegistryConfig,
    RolloutConfig,
    SearchConfig,
    SiteConfig,
    SparkConfig,
    WarehouseConfig,
    Writer,
)
from contract.errors import ConfigError, ContractError
from contract.typed import build
from models.conditions import Condition, read_conditions
from transport.tls import require_pair, tls_files

__all__ = [
    "ApiConfig",
    "CaConfig",
    "CloudConfig",
    "FleetConfig",
    "HealthConfig",
    "IngestConfig",
    "KibanaConfig",
    "LakeConfig",
    "Period",
    "RegistryConfig",
    "RolloutConfig",
    "SearchConfig",
    "SiteConfig",
    "SparkConfig",
    "WarehouseConfig",
    "Writer",
    "fleet_conditions",
    "load_config",
    "need",
    "read_secret",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sections:
    lake: LakeConfig | None = None
    ingest: IngestConfig | None = None
    search: SearchConfig | None = None
    kibana: KibanaConfig | None = None
    warehouse: WarehouseConfig | None = None
    spark: SparkConfig | None = None
    registry: RegistryConfig | None = None
    rollout: RolloutConfig | None = None
    api: ApiConfig | None = None
    ca: CaConfig | None = None
    health: HealthConfig | None = None
    fleet: FleetConfig | None = None
    site: tuple[SiteConfig, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig(_Sections):
    """The whole file; a missing section is None.

    Attributes:
        source: Name of the file, for messages.
    """

    source: str


def load_config(path: Path) -> CloudConfig:
    """Reads the configuration from a TOML file.

    Raises:
        ConfigError: A value is wrong; the message names file, section, key and expected value.
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
    _check_tls(sections, str(path))
    _check_sites(sections.site, str(path))
    parts = {f.name: getattr(sections, f.name) for f in fields(_Sections)}
    return CloudConfig(source=str(path), **parts)


def _check_tls(sections: _Sections, where: str) -> None:
    for name, broker in (("ingest", sections.ingest), ("rollout", sections.rollout)):
        if broker is not None:
            own = (broker.certificate_file, broker.key_file)
            tls_files(f"{where}: [{name}]", broker.ca_file, *own)
    if (api := sections.api) is not None:
        require_pair(f"{where}: [api]", api.certificate_file, api.key_file)
        _check_clients(api, f"{where}: [api]")
    if (search := sections.search) is None:
        return
    if search.ca_file is not None and not search.url.startswith("https:"):
        raise ConfigError(f"{where}: [search] ca_file: needs a url with https, not {search.url}")
    if (search.username is None) != (search.password_file is None):
        raise ConfigError(f"{where}: [search] username and password_file: set both or neither")
    _check_logstash(search, f"{where}: [search]")


def _check_sites(sites: tuple[SiteConfig, ...], where: str) -> None:
    site_of: dict[str, str] = {}
    for number, site in enumerate(sites, start=1):
        place = f"{where}: [[site]] {site.id}"
        if site.id in {earlier.id for earlier in sites[: number - 1]}:
            raise ConfigError(f"{place}: id: another site has this id; choose a unique one")
        if site.time_zone not in available_timezones():
            raise ConfigError(
                f"{place}: time_zone: {site.time_zone!r} is not a time zone of this host's "
                "database; expected a name such as Europe/Berlin"
            )
        for device_id in site.devices:
            if (other := site_of.setdefault(device_id, site.id)) != site.id:
                raise ConfigError(f"{place}: devices: {device_id} is also a device of site {other}")


def _check_clients(api: ApiConfig, where: str) -> None:
    for role in ("devices", "services"):
        ca_file, crl_file = getattr(api, f"{role}_ca_file"), getattr(api, f"{role}_crl_file")
        if (ca_file is None) != (crl_file is None):
            raise ConfigError(f"{where} {role}_ca_file and {role}_crl_file: set both or neither")
        if ca_file is not None and api.certificate_file is None:
            raise ConfigError(f"{where} {role}_ca_file: needs https: set certificate_file")


def _check_logstash(search: SearchConfig, where: str) -> None:
    if search.writer is Writer.LOGSTASH and search.logstash_url is None:
        raise ConfigError(
            f"{where} writer: `logstash` needs logstash_url, the address of Logstash's http input"
        )
    if (search.logstash_user is None) != (search.logstash_password_file is None):
        raise ConfigError(f"{where} logstash_user, logstash_password_file: set both or neither")
    if search.logstash_ca_file is None or (search.logstash_url or "").startswith("https:"):
        return
    raise ConfigError(f"{where} logstash_ca_file: needs a logstash_url with https")


def need(section: T | None, name: str, config: CloudConfig) -> T:
    """Returns a section that a command requires.

    Raises:
        ConfigError: The file does not have the section.
    """
    if section is None:
        raise ConfigError(f"{config.source}: section [{name}] is missing; this command needs it")
    return section


def fleet_conditions(config: CloudConfig) -> tuple[Condition, ...]:
    """Reads the fleet's conditions from the file that section `[fleet]` names.

    Raises:
        ConfigError: The section or the file is missing, or a declaration is wrong.
    """
    return read_conditions(Path(need(config.fleet, "fleet", config).conditions_file))


def read_secret(path: str | None) -> str | None:
    """Reads the first line of a secret's file; None if no file is configured.

    Raises:
        ConfigError: The file cannot be read.
    """
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8").split("\n", 1)[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"password or key file {path} cannot be read: {error}") from error
