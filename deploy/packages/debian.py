"""A folder of Debian packages that apt can install from without a network."""

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
    """Writes an archive of packages with all that they need, and apt's index of them.

    apt verifies the packages that it fetches. The archive itself carries no signature: copy it by
    a way that you trust.

    Args:
        packages: Names; or files, which end with .deb, for what is not in Debian.
        archive: Where to.
        architecture: Debian's name of the hosts' processor, such as arm64; None: as here.
        suite: Debian's name of the suite that the hosts run, such as sid; None: as here.

    Raises:
        SetupError: A package cannot be had, or dpkg-scanpackages is missing.
    """
    files = [Path(package).resolve() for package in packages if package.endswith(".deb")]
    if missing := [file for file in files if not file.is_file()]:
        raise SetupError(f"{missing[0]} is not there; names of Debian's packages end without .deb")
    names = [package for package in packages if not package.endswith(".deb")]
    with tempfile.TemporaryDirectory() as work:
        options = _as_on_a_bare_machine(Path(work), architecture, suite)
        run(["apt-get", "update", "-q", *options], "Debian's package lists")
        fetch = ["apt-get", "install", "-q", "-y", "--download-only", "--no-install-recommends"]
        # apt takes a file for one if it sees a path
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
    """Options of apt: nothing is installed, so apt fetches everything; its lists are its own."""
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
        raise SetupError("dpkg-scanpackages is missing: install dpkg-dev") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace")[-400:]
        raise SetupError(f"dpkg-scanpackages ended with {error.returncode}: {last}") from error
    return done.stdout
