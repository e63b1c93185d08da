"""Opens the lake of section `[lake]`: its store of files, its table, its reader."""

from pathlib import Path

from cloud.config import CloudConfig, need
from cloud.lake.positions import RAW_FOLDER
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore

__all__ = ["lake_folder", "open_lake", "open_raw", "open_store"]


def lake_folder(config: CloudConfig) -> Path:
    """Returns the folder of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    return need(config.lake, "lake", config).folder


def open_store(config: CloudConfig) -> FolderStore:
    """Opens the store of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    return FolderStore(lake_folder(config))


def open_raw(config: CloudConfig) -> RawTable:
    """Opens table `raw` (all landed blocks) of section `[lake]`, without reading it.

    Raises:
        ConfigError: The section is missing.
    """
    return RawTable(lake_folder(config) / RAW_FOLDER)


def open_lake(config: CloudConfig) -> LakeReader:
    """Opens the lake of section `[lake]` for reading.

    Raises:
        ConfigError: The section is missing.
    """
    return LakeReader(open_store(config), open_raw(config))
