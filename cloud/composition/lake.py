"""Opens the lake of section `[lake]`: the store of files, its tables, its names."""

from pathlib import Path

from cloud.config import CloudConfig, need
from cloud.lake.landed import RAW_FOLDER
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore

__all__ = ["lake_folder", "open_lake", "open_raw", "open_store"]


def lake_folder(config: CloudConfig) -> Path:
    """The folder of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    return need(config.lake, "lake", config).folder


def open_store(config: CloudConfig) -> FolderStore:
    """The store of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    return FolderStore(lake_folder(config))


def open_raw(config: CloudConfig) -> RawTable:
    """The table of every landed block, of section `[lake]`; nothing is read yet.

    Raises:
        ConfigError: The section is missing.
    """
    return RawTable(lake_folder(config) / RAW_FOLDER)


def open_lake(config: CloudConfig) -> LakeReader:
    """The lake of section `[lake]`, for reading.

    Raises:
        ConfigError: The section is missing.
    """
    return LakeReader(open_store(config), open_raw(config))
