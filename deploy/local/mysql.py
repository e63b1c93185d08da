"""MySQL as a private child, run from a folder of the cache without being installed.

The set-up puts the packages of a newer Debian there, with the C library that they were built for;
so the server is started through that library's own loader. Its data folder is a copy of one that
the set-up initialised.
"""

import shutil
from pathlib import Path

from contract.errors import ConfigError
from deploy.local.artifacts import mysql_home
from deploy.local.database_server import COMMON_FLAGS, DatabaseServer, place_flags
from deploy.local.processes import hand_over

__all__ = ["MySql", "server_command"]

_OWN_FLAGS = (
    "--innodb-redo-log-capacity=32M",
    "--performance-schema=OFF",  # 100 MB that nobody looks at
)


def server_command(root: Path) -> tuple[str, ...]:
    """How `mysqld` is started from unpacked packages.

    Args:
        root: Where they were unpacked.

    Raises:
        ConfigError: The packages are not what they were: no loader, or no server, is among them.
    """
    loaders = sorted(root.glob("usr/lib/*/ld-linux-*.so.*"))
    daemon, share = root / "usr/sbin/mysqld", root / "usr/share/mysql"
    if not loaders or not daemon.exists():
        raise ConfigError(f"{root} holds no MySQL server: remove it and run `make setup`")
    return (
        str(loaders[0]),
        "--library-path",
        str(loaders[0].parent),
        str(daemon),
        "--no-defaults",
        f"--basedir={root / 'usr'}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
        "--secure-file-priv=",
        "--mysqlx=OFF",
    )


class MySql(DatabaseServer):
    """A private MySQL."""

    product = "MySQL"
    daemon = "mysqld"
    without_tls = ("--tls-version=",)  # otherwise it does, with a certificate of its own making
    keys_required = ("--sql-require-primary-key=ON",)

    @classmethod
    def command(cls, folder: Path, port: int) -> tuple[str, ...]:
        """The server's command line, its files in `folder`."""
        started = server_command(_home() / "root")
        return (*started, *place_flags(folder, port), *COMMON_FLAGS, *_OWN_FLAGS)

    @classmethod
    def initialise(cls, folder: Path) -> None:
        """Makes the data folder: a copy, since initialising takes seconds."""
        shutil.copytree(_home() / "data", folder / "data")
        (folder / "data" / "auto.cnf").unlink(missing_ok=True)  # each server has an id of its own
        hand_over(folder)


def _home() -> Path:
    home = mysql_home()
    if home is None:
        raise ConfigError("MySQL is not in the cache: run `make setup`")
    return home
