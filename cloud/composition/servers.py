"""Opens the configured servers: MySQL, Elasticsearch, Logstash, the broker."""

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from cloud.clock import SystemClock
from cloud.config import CloudConfig, IngestConfig, RolloutConfig, need, read_secret
from cloud.logstash.http_client import HttpAddress, HttpClient
from cloud.logstash.node_api import NodeApi
from cloud.search.names import IndexNames
from cloud.search.retention import Retention
from cloud.warehouse.engine import Address, connect, require_current
from contract.errors import ConfigError

if TYPE_CHECKING:
    from cloud.mqtt import BrokerSettings
    from cloud.search.client import SearchClient

__all__ = [
    "broker_settings",
    "index_names",
    "open_http_input",
    "open_node_api",
    "open_search",
    "open_warehouse",
    "search_retention",
]


def open_warehouse(
    config: CloudConfig, *, current: bool = True, answer_s: float | None = None
) -> Engine:
    """Opens the warehouse of section `[warehouse]`.

    Args:
        config: The configuration.
        current: Whether to connect at once and require this program's schema version.
        answer_s: Time limit for an answer, seconds; None for no limit.

    Raises:
        ConfigError: The section or its password file is missing.
        SchemaOutdated: `current` is set, and the schema has another version.
        WarehouseError: `current` is set, and the server did not answer.
    """
    section = need(config.warehouse, "warehouse", config)
    engine = connect(
        Address(
            host=section.host,
            port=section.port,
            user=section.user,
            password=read_secret(section.password_file) or "",
            database=section.database,
            ca_file=section.ca_file,
        ),
        answer_s=answer_s,
    )
    if current:
        require_current(engine)
    return engine


def open_search(config: CloudConfig, *, answer_s: float = 30.0) -> "SearchClient":
    """Makes a client of section `[search]` without connecting; `answer_s` limits each answer.

    Raises:
        ConfigError: The section is missing, or an address or file in it cannot be used.
    """
    # Imported here, because most verbs need no Elasticsearch client.
    from cloud.search.client import SearchClient  # noqa: PLC0415 - see above

    section = need(config.search, "search", config)
    password = read_secret(section.password_file)
    account = None
    if section.username is not None and password is not None:
        account = (section.username, password)
    return SearchClient(
        section.url, account=account, ca_file=section.ca_file, request_timeout_s=answer_s
    )


def open_http_input(config: CloudConfig, *, url: str | None = None) -> HttpClient:
    """Makes a client of Logstash's http input in section `[search]`, without connecting.

    Args:
        config: The configuration.
        url: Address to use instead of the section's `logstash_url`.

    Raises:
        ConfigError: The section or its address is missing, or the address cannot be used.
    """
    section = need(config.search, "search", config)
    url = url or section.logstash_url
    if url is None:
        raise ConfigError(
            f"{config.source}: [search] logstash_url is missing; this command needs it"
        )
    return HttpClient(
        HttpAddress(
            url=url,
            user=section.logstash_user,
            password=read_secret(section.logstash_password_file),
            ca_file=section.logstash_ca_file or section.ca_file,
        )
    )


def open_node_api(config: CloudConfig, *, answer_s: float) -> NodeApi:
    """Makes a client of Logstash's API in section `[search]`, without connecting.

    Raises:
        ConfigError: The section or its address is missing, or the address cannot be used.
    """
    section = need(config.search, "search", config)
    if section.logstash_api_url is None:
        raise ConfigError(f"{config.source}: [search] logstash_api_url is missing")
    ca_file = section.logstash_ca_file or section.ca_file
    return NodeApi(section.logstash_api_url, ca_file=ca_file, answer_s=answer_s)


def index_names(config: CloudConfig) -> IndexNames:
    """Returns the index names, from the prefix and the period in `[search]`.

    Raises:
        ConfigError: The section is missing.
    """
    section = need(config.search, "search", config)
    return IndexNames(section.prefix, section.period)


def search_retention(config: CloudConfig) -> Retention | None:
    """Returns the retention of section `[search]`; None if everything is kept.

    Raises:
        ConfigError: The section is missing.
    """
    section = need(config.search, "search", config)
    if section.keep_days is None:
        return None
    return Retention(keep_days=section.keep_days, period=section.period, clock=SystemClock())


def broker_settings(section: IngestConfig | RolloutConfig, role: str) -> "BrokerSettings":
    """Returns the broker's settings of a section, with the client id `<role>-<random>`.

    Raises:
        ConfigError: The password file cannot be read.
    """
    # Imported here, because most verbs need no MQTT client.
    from cloud.mqtt import BrokerSettings  # noqa: PLC0415 - see above

    return BrokerSettings(
        host=section.host,
        port=section.port,
        client_id=f"{role}-{secrets.token_hex(4)}",
        username=section.username,
        password=read_secret(section.password_file),
        tls=section.tls,
    )
