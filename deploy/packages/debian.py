"""Makes an archive of Debian packages from which apt can install without a network."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import SetupError
from deploy.local.setup.commands import run
from deploy.local.setup.suite import suite_options
from deploy.packages.archive import pack

__all__ = ["make_repository"]


def make_repository(
    packages: Sequence[str],
    archive: Path,
    architecture: str | None = None,
    suite: str | None = None,
) -> None:
    """Writes an archive of packages and their dependencies, with an index for apt.

    apt verifies the packages that it fetches. The archive itself has no signature, so copy it over
    a connection that you trust.

    Args:
        packages: Names of packages, or paths of .deb files for packages that are not in Debian.
        archive: File to write.
        architecture: Debian's name of the hosts' architecture, such as arm64; None for this
            machine's.
        suite: Debian's name of the hosts' suite, such as sid; None for this machine's.

    Raises:
        SetupError: A package is not available, or dpkg-scanpackages is missing.
    """
    files = [Path(package).resolve() for package in packages if package.endswith(".deb")]
    if missing := [file for file in files if not file.is_file()]:
        raise SetupError(
            f"{missing[0]} does not exist. For a package of Debian give the name without .deb"
        )
    names = [package for package in packages if not package.endswith(".deb")]
    with tempfile.TemporaryDirectory() as work:
        options = _as_on_a_bare_machine(Path(work), architecture, suite)
        run(["apt-get", "update", "-q", *options], "Debian's package lists")
        fetch = ["apt-get", "install", "-q", "-y", "--download-only", "--no-install-recommends"]
        # apt recognises a file by a slash in its name, so the paths are absolute.
        run([*fetch, *options, *names, *map(str, files)], "Debian packages")
        folder = Path(work, "repository")
        folder.mkdir()
        for path in Path(work, "cache", "archives").glob("*.deb"):
            path.rename(folder / path.name.replace("%3a", "_"))
        for path in files:
            shutil.copy(path, folder)
        (folder / "Packages").write_bytes(_index(folder))
        pack(folder, archive)


def _as_on_a_bare_machine(work: Path, architecture: str | None, suite: str | None) -> list[str]:
    """Returns options with which apt assumes an empty system, so that it fetches all packages."""
    if suite is not None:
        options = [*suite_options(work, suite)]
    else:
        for name in ("lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        options = ["-oDir::State::status=/dev/null", f"-oDir::Cache={work}/cache"]
        options += [f"-oDir::State::lists={work}/lists"]
        options += ["-oAPT::Sandbox::User=root", "-oDebug::NoLocking=1"]
    if architecture is not None:
        options += [f"-oAPT::Architecture={architecture}", "-oAPT::Architectures::="]
        options += [f"-oAPT::Architectures::={architecture}"]
    return options


def _index(folder: Path) -> bytes:
    try:
        done = subprocess.run(
            ["dpkg-scanpackages", "--multiversion", "."],
            cwd=folder,
            capture_output=True,
            check=True,
        )
    except OSError as error:
        raise SetupError("dpkg-scanpackages is missing; install dpkg-dev") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace")[-400:]
        raise SetupError(
            f"dpkg-scanpackages exited with code {error.returncode}: {last}"
        ) from error
    return done.stdout
