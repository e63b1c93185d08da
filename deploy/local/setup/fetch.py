"""Fetches the pinned artifacts from Maven, checks them, and puts them into the cache.

Files are renamed into the cache after the check, so all files in the cache are checked.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from deploy.local.artifacts import Artifact, cache_folder, pinned
from deploy.local.errors import SetupError
from deploy.local.setup.commands import run
from deploy.local.setup.progress import Progress

__all__ = ["ensure_artifacts", "verify"]

_PLUGIN = ("org.apache.maven.plugins", "maven-dependency-plugin", "3.6.1")
_GOAL = f"{':'.join(_PLUGIN)}:copy"

# One call fetches all files, because Maven's start takes longer than fetching a jar.
_PROJECT = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dewline</groupId><artifactId>artifacts</artifactId><version>1</version>
  <packaging>pom</packaging>
  <build><plugins><plugin>
    <groupId>{plugin[0]}</groupId><artifactId>{plugin[1]}</artifactId><version>{plugin[2]}</version>
    <configuration>
      <outputDirectory>{output}</outputDirectory>
      <artifactItems>{items}</artifactItems>
    </configuration>
  </plugin></plugins></build>
</project>
"""


def ensure_artifacts(progress: Progress) -> None:
    """Fetches the artifacts that are not in the cache.

    Raises:
        SetupError: Maven failed, or a file has another SHA-256 than the pinned one.
    """
    missing = [artifact for artifact in pinned() if not artifact.place.exists()]
    if not missing:
        return
    cache_folder().mkdir(parents=True, exist_ok=True)
    names = "Elasticsearch and Spark's jars" if len(missing) > 1 else missing[0].file_name
    with (
        progress.step(f"{names} by Maven"),
        tempfile.TemporaryDirectory(dir=cache_folder()) as work,
    ):
        _fetch(missing, Path(work))
        for artifact in missing:
            verify(artifact, Path(work) / artifact.file_name)
            _keep(artifact, Path(work))


def _fetch(missing: Sequence[Artifact], work: Path) -> None:
    project = work / "pom.xml"
    items = "".join(_item(artifact) for artifact in missing)
    text = _PROJECT.format(plugin=_PLUGIN, output=escape(str(work)), items=items)
    project.write_text(text, encoding="utf-8")
    repository = f"-Dmaven.repo.local={work / 'repository'}"
    run(["mvn", "-B", "-ntp", "-q", "-f", str(project), repository, _GOAL], "Maven")


def _item(artifact: Artifact) -> str:
    return (
        f"<artifactItem><groupId>{artifact.group}</groupId><artifactId>{artifact.name}</artifactId>"
        f"<version>{artifact.version}</version><type>{artifact.type}</type></artifactItem>"
    )


def verify(artifact: Artifact, path: Path) -> None:
    """Compares a file with its pinned SHA-256.

    Raises:
        SetupError: They differ.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact.sha256:
        raise SetupError(
            f"{artifact.file_name} has SHA-256 {found}, but {artifact.sha256} is pinned in "
            "deploy/local/setup/artifacts.toml. Do not use the file: it is not the reviewed one"
        )


def _keep(artifact: Artifact, work: Path) -> None:
    path = work / artifact.file_name
    artifact.place.parent.mkdir(parents=True, exist_ok=True)
    if artifact.type == "zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(work / "unpacked")
        _open_to_all(work / "unpacked")
        path = work / "unpacked" / artifact.place.name
    path.replace(artifact.place)


def _open_to_all(folder: Path) -> None:
    """Makes the folder readable for all users, because servers run as another user."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
