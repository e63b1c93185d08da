"""MySQL from Debian's unstable suite, unpacked beside the system and never installed into it.

No release of Debian has MySQL. An apt configuration of its own (own lists, own cache, Debian's
keyring, the mirror of the system's own sources) fetches the server with all the libraries that it
needs, so nothing of the system changes. No version is named: the suite has one at a time, and a
newer one gets a new folder when the cache has none.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from contract.errors import DewlineError
from deploy.local.artifacts import cache_folder, mysql_home
from deploy.local.errors import SetupError
from deploy.local.mysql_program import server_command
from deploy.local.processes import hand_over, run_once
from deploy.local.setup.commands import run
from deploy.local.setup.progress import Progress

__all__ = ["ensure_mysql"]

_PACKAGE = "mysql-server-core"
_SUITE = "sid"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def ensure_mysql(progress: Progress) -> None:
    """Put MySQL into the cache if it is not there; says in one line why if that cannot be done.

    The demo and the tests run on MariaDB then, and name it.
    """
    if mysql_home() is not None:
        return
    try:
        with progress.step(f"MySQL from Debian's suite {_SUITE}"):
            _fetch()
    except (DewlineError, OSError) as error:
        progress.say(f"MySQL is not available, MariaDB takes its place: {_reason(error)}")


def _reason(error: Exception) -> str:
    """In one line: what was tried, and the last thing that the program said of it."""
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
        if mysql_home() is None:  # else another set-up was quicker
            raise


def _download(work: Path) -> str:
    """Returns the server and what it depends on, as files; the version of the server."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    source = f"deb [signed-by={_KEYRING}] {_mirror()} {_SUITE} main\n"
    (work / "sources.list").write_text(source, encoding="utf-8")
    options = _options(work)
    run(["apt-get", *options, "update", "-q"], f"the lists of Debian's suite {_SUITE}")
    run(["apt-get", *options, "install", "-d", "-y", "-q", _PACKAGE], _PACKAGE)
    shown = run(["apt-cache", *options, "show", _PACKAGE], f"version of {_PACKAGE}")
    versions = [line[9:] for line in shown.splitlines() if line.startswith("Version: ")]
    if not versions:
        raise SetupError(f"{_PACKAGE}: apt-cache printed no version")
    return versions[0]


def _options(work: Path) -> Sequence[str]:
    settings = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": "/dev/null",  # as if nothing were installed: all libraries come too
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Debug::NoLocking": "true",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _mirror() -> str:
    """Where the system's own packages of Debian come from."""
    form = "$(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", form], "the system's package sources")
    found = [line for line in listed.splitlines() if line.rstrip("/").endswith("/debian")]
    if not found:
        raise SetupError("the system's package sources name no mirror of Debian")
    return found[0]


def _initialise(work: Path, root: Path) -> None:
    """A data folder as a server has it at its first start, for every server to copy."""
    place = work / "first"
    place.mkdir()
    hand_over(place)
    command = [*server_command(root), f"--datadir={place / 'data'}", "--initialize-insecure"]
    # each server makes its own keys at its start: copies of one would all have the same
    command += ["--auto-generate-certs=OFF", "--caching-sha2-password-auto-generate-rsa-keys=OFF"]
    run_once([*command, "--innodb-redo-log-capacity=32M", f"--tmpdir={place}"], place)
    shutil.move(place / "data", work / "home" / "data")
    data = work / "home" / "data"
    for path in (data, *data.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, 0, 0)
