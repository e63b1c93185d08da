"""What the cache holds: the Elasticsearch distribution, Spark's jars and MySQL.

Owns the cache's layout and the pins (`setup/artifacts.toml`). Must not fetch: that is the set-up's.
Standard library only, since the set-up reads it before there is a virtual environment.
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
    """One file of a Maven repository, pinned by its SHA-256."""

    group: str
    name: str
    version: str
    type: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name that Maven gives the file."""
        return f"{self.name}-{self.version}.{self.type}"

    @property
    def place(self) -> Path:
        """Where it is in the cache: a jar as it is, a zip as the folder it holds."""
        if self.type == "zip":
            return cache_folder() / f"{self.name}-{self.version}"
        return cache_folder() / "jars" / self.file_name


def cache_folder() -> Path:
    """`$DEWLINE_CACHE`; else for root /var/cache/dewline, for others ~/.cache/dewline.

    Root's home is closed to the user nobody, whom root's servers run as.
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
        ConfigError: the set-up has not been run.
    """
    (artifact,) = (artifact for artifact in pinned() if artifact.type == "zip")
    return _present(artifact)


def mysql_home() -> Path | None:
    """Returns the folder with MySQL, `root` and `data` in it; None if the set-up could not fetch it.

    A newer version has a folder of its own; the one that came last is used.
    """
    homes = [path for path in cache_folder().glob("mysql-*") if (path / "data").is_dir()]
    return max(homes, key=lambda path: path.stat().st_mtime_ns, default=None)


def spark_jars() -> list[Path]:
    """Returns the jars for `spark.jars`: Delta Lake with what Spark does not ship of it, and MySQL's driver.

    Raises:
        ConfigError: the set-up has not been run.
    """
    return [_present(artifact) for artifact in pinned() if artifact.type == "jar"]


def _present(artifact: Artifact) -> Path:
    if not artifact.place.exists():
        raise ConfigError(f"{artifact.place} is missing: run `make setup` (or set DEWLINE_CACHE)")
    return artifact.place
