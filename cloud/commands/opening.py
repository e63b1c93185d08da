"""Opens what verbs work on, as the configuration names it."""

from typing import TYPE_CHECKING

from sqlalchemy import Engine

from cloud.config import CloudConfig, need, read_secret
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from cloud.logstash.door import DoorAddress, HttpDoor
from cloud.warehouse.engine import Address, connect, require_current
from contract.errors import ConfigError

if TYPE_CHECKING:
    from cloud.search.client import SearchClient

__all__ = ["open_door", "open_lake", "open_search", "open_store", "open_warehouse"]


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


def open_door(config: CloudConfig, *, url: str | None = None) -> HttpDoor:
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
    return HttpDoor(
        DoorAddress(
            url=url,
            user=section.logstash_user,
            password=read_secret(section.logstash_password_file),
            ca_file=section.logstash_ca_file or section.ca_file,
        )
    )


def open_store(config: CloudConfig) -> FolderStore:
    """The store of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    return FolderStore(need(config.lake, "lake", config).folder)


def open_lake(config: CloudConfig) -> LakeReader:
    """The lake of section `[lake]`, for reading.

    Raises:
        ConfigError: The section is missing.
    """
    folder = need(config.lake, "lake", config).folder
    return LakeReader(FolderStore(folder), RawTable(folder / "raw"))
