"""Opens the servers that sections name: MySQL, Elasticsearch, Logstash, the broker."""

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from cloud.config import CloudConfig, IngestConfig, RolloutConfig, need, read_secret
from cloud.logstash.http_client import HttpAddress, HttpClient
from cloud.search.names import IndexNames
from cloud.warehouse.engine import Address, connect, require_current
from contract.errors import ConfigError

if TYPE_CHECKING:
    from cloud.mqtt import BrokerSettings
    from cloud.search.client import SearchClient

__all__ = ["broker_settings", "index_names", "open_door", "open_search", "open_warehouse"]


def open_warehouse(
    config: CloudConfig, *, current: bool = True, answer_s: float | None = None
) -> Engine:
    """The warehouse of section `[warehouse]`.

    Args:
        config: The configuration.
        current: Whether to insist on the schema of this program, which connects at once.
        answer_s: An answer may take so long, seconds; None: as long as it does.

    Raises:
        ConfigError: The section or its password's file is missing.
        SchemaOutdated: `current`, and the schema is another one.
        WarehouseError: `current`, and the server did not answer.
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
    """A client of section `[search]`; nothing connects yet. An answer may take `answer_s` seconds.

    Raises:
        ConfigError: The section is missing, or its address or a file that it names cannot be used.
    """
    # here and not above: most verbs do without Elasticsearch's client
    from cloud.search.client import SearchClient  # noqa: PLC0415 - see above

    section = need(config.search, "search", config)
    password = read_secret(section.password_file)
    account = None
    if section.username is not None and password is not None:
        account = (section.username, password)
    return SearchClient(
        section.url, account=account, ca_file=section.ca_file, request_timeout_s=answer_s
    )


def open_door(config: CloudConfig, *, url: str | None = None) -> HttpClient:
    """Logstash's intake of section `[search]`; nothing connects yet.

    Args:
        config: The configuration.
        url: Instead of the section's `logstash_url`.

    Raises:
        ConfigError: The section or its address is missing, or cannot be used.
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


def index_names(config: CloudConfig) -> IndexNames:
    """Names of the indices: the prefix of section `[search]`, the period of section `[lake]`.

    Raises:
        ConfigError: A section is missing.
    """
    period = need(config.lake, "lake", config).period
    return IndexNames(need(config.search, "search", config).prefix, period)


def broker_settings(section: IngestConfig | RolloutConfig, role: str) -> "BrokerSettings":
    """How to reach the broker of a section, as `<role>-` and something new each time.

    Raises:
        ConfigError: The password's file cannot be read.
    """
    # here and not above: most verbs do without a broker
    from cloud.mqtt import BrokerSettings  # noqa: PLC0415 - see above

    return BrokerSettings(
        host=section.host,
        port=section.port,
        client_id=f"{role}-{secrets.token_hex(4)}",
        username=section.username,
        password=read_secret(section.password_file),
        tls=section.tls,
    )
