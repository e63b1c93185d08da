"""Opens what verbs work on, as the configuration names it."""

from sqlalchemy import Engine

from cloud.config import CloudConfig, need, read_secret
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from cloud.warehouse.engine import Address, connect, require_current

__all__ = ["open_lake", "open_store", "open_warehouse"]


def open_warehouse(config: CloudConfig, *, current: bool = True) -> Engine:
    """The warehouse of section `[warehouse]`.

    Args:
        config: The configuration.
        current: Whether to insist on the schema of this program, which connects at once.

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
        )
    )
    if current:
        require_current(engine)
    return engine


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
