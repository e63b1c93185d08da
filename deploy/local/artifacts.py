"""Finds the files in the cache: the Elasticsearch distribution, Spark's jars and MySQL.

This module defines the cache's layout and reads the pins (`setup/artifacts.toml`). Only the set-up
fetches files. Standard library only, since the set-up imports this module before there is a virtual
environment.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ConfigError

__all__ = [
    "PINS",
    "Artifact",
    "cache_folder",
    "elasticsearch_home",
    "mysql_home",
    "pinned",
    "spark_jars",
]

PINS = Path(__file__).with_name("setup") / "artifacts.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Describes one file of a Maven repository, pinned by its SHA-256."""

    group: str
    name: str
    version: str
    type: str
    sha256: str

    @property
    def file_name(self) -> str:
        """File name in the Maven repository."""
        return f"{self.name}-{self.version}.{self.type}"

    @property
    def place(self) -> Path:
        """Path in the cache: of the jar itself, or of the folder unpacked from a zip."""
        if self.type == "zip":
            return cache_folder() / f"{self.name}-{self.version}"
        return cache_folder() / "jars" / self.file_name


def cache_folder() -> Path:
    """Returns `$DEWLINE_CACHE`, or /var/cache/dewline for root, ~/.cache/dewline for others.

    For root, servers run as the user nobody, who cannot read root's home.
    """
    if chosen := os.environ.get("DEWLINE_CACHE"):
        return Path(chosen).absolute()
    return Path("/var/cache/dewline") if os.getuid() == 0 else Path.home() / ".cache" / "dewline"


def pinned() -> tuple[Artifact, ...]:
    """Returns every artifact that the set-up fetches."""
    with PINS.open("rb") as file:
        return tuple(Artifact(**entry) for entry in tomllib.load(file)["artifact"])


def elasticsearch_home() -> Path:
    """Returns the folder of the Elasticsearch distribution, to be used read-only.

    Raises:
        ConfigError: The set-up has not been run.
    """
    (artifact,) = (artifact for artifact in pinned() if artifact.type == "zip")
    return _present(artifact)


def mysql_home() -> Path | None:
    """Returns MySQL's folder, with `root` and `data` in it; None if the set-up could not fetch it.

    Each version has its own folder; the newest folder is used.
    """
    homes = [path for path in cache_folder().glob("mysql-*") if (path / "data").is_dir()]
    return max(homes, key=lambda path: path.stat().st_mtime_ns, default=None)


def spark_jars() -> list[Path]:
    """Returns the jars for `spark.jars`: Delta Lake, its dependencies and MySQL's driver.

    Raises:
        ConfigError: The set-up has not been run.
    """
    return [_present(artifact) for artifact in pinned() if artifact.type == "jar"]


def _present(artifact: Artifact) -> Path:
    if not artifact.place.exists():
        raise ConfigError(f"{artifact.place} is missing. Run `make setup`, or set DEWLINE_CACHE")
    return artifact.place
