"""Fetches MySQL from Debian's unstable suite and unpacks it; the system is not changed.

No release of Debian has MySQL. A separate apt configuration fetches the server with all libraries
that it needs. The suite has one version at a time; it is fetched only if the cache has no MySQL.
"""

import os
import shutil
import tempfile
from pathlib import Path

from contract.errors import DewlineError
from deploy.local.artifacts import cache_folder, mysql_home
from deploy.local.errors import SetupError
from deploy.local.mysql_program import server_command
from deploy.local.processes import hand_over, run_once
from deploy.local.setup.commands import run
from deploy.local.setup.progress import Progress
from deploy.local.setup.suite import suite_options

__all__ = ["ensure_mysql"]

_PACKAGE = "mysql-server-core"
_SUITE = "sid"


def ensure_mysql(progress: Progress) -> None:
    """Puts MySQL into the cache, or prints in one line why that failed.

    After a failure the demo and the tests run on MariaDB, and print its name.
    """
    if mysql_home() is not None:
        return
    try:
        with progress.step(f"MySQL from Debian's suite {_SUITE}"):
            _fetch()
    except (DewlineError, OSError) as error:
        progress.say(f"MySQL is not available, so MariaDB is used: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Returns the first and the last line of an error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else type(error).__name__


def _fetch() -> None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mysql.", dir=cache_folder()) as name:
        work = Path(name)
        work.chmod(0o755)
        version = _download(work)
        root = work / "home" / "root"
        root.mkdir(parents=True)
        for package in sorted((work / "cache" / "archives").glob("*.deb")):
            run(["dpkg", "-x", str(package), str(root)], package.name)
        _initialise(work, root)
        _keep(work / "home", cache_folder() / f"mysql-{version.replace(':', '.')}")


def _keep(home: Path, place: Path) -> None:
    try:
        home.replace(place)
    except OSError:
        if mysql_home() is None:  # otherwise another set-up has just made the folder
            raise


def _download(work: Path) -> str:
    """Downloads the packages of the server and its libraries; returns the server's version."""
    options = suite_options(work, _SUITE)
    run(["apt-get", *options, "update", "-q"], f"package lists of Debian's suite {_SUITE}")
    run(["apt-get", *options, "install", "-d", "-y", "-q", _PACKAGE], _PACKAGE)
    shown = run(["apt-cache", *options, "show", _PACKAGE], f"version of {_PACKAGE}")
    versions = [line[9:] for line in shown.splitlines() if line.startswith("Version: ")]
    if not versions:
        raise SetupError(f"{_PACKAGE}: apt-cache printed no version")
    return versions[0]


def _initialise(work: Path, root: Path) -> None:
    """Initialises a data folder; each server starts with a copy."""
    place = work / "first"
    place.mkdir()
    hand_over(place)
    command = [*server_command(root), f"--datadir={place / 'data'}", "--initialize-insecure"]
    # No keys are made here, because all copies would have the same keys. Each server makes its own.
    command += ["--auto-generate-certs=OFF", "--caching-sha2-password-auto-generate-rsa-keys=OFF"]
    run_once([*command, "--innodb-redo-log-capacity=32M", f"--tmpdir={place}"], place)
    shutil.move(place / "data", work / "home" / "data")
    data = work / "home" / "data"
    for path in (data, *data.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, 0, 0)
