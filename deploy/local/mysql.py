"""Starts MySQL as a private child process from a folder of the cache; nothing is installed.

The set-up unpacks packages of a newer Debian there, together with the C library that they need. So
the server is started by that library's loader. Its data folder is a copy of the one that the set-up
initialised.
"""

import shutil
from pathlib import Path

from contract.errors import ConfigError
from deploy.local.artifacts import mysql_home
from deploy.local.database_server import COMMON_FLAGS, DatabaseServer, place_flags
from deploy.local.mysql_program import server_command
from deploy.local.processes import hand_over

__all__ = ["MySql"]

_OWN_FLAGS = (
    "--innodb-redo-log-capacity=32M",
    "--performance-schema=OFF",  # saves 100 MB of memory
)


class MySql(DatabaseServer):
    """Runs a private MySQL."""

    product = "MySQL"
    daemon = "mysqld"
    without_tls = ("--tls-version=",)  # otherwise MySQL makes a certificate and offers TLS
    keys_required = ("--sql-require-primary-key=ON",)

    @classmethod
    def command(cls, folder: Path, port: int) -> tuple[str, ...]:
        """Returns the server's command line for the files in `folder`."""
        started = server_command(_home() / "root")
        return (*started, *place_flags(folder, port), *COMMON_FLAGS, *_OWN_FLAGS)

    @classmethod
    def initialise(cls, folder: Path) -> None:
        """Makes the data folder as a copy, because initialising takes seconds."""
        shutil.copytree(_home() / "data", folder / "data")
        data = folder / "data"
        for own in (data / "auto.cnf", *data.glob("*.pem")):  # the server makes new id and keys
            own.unlink(missing_ok=True)
        hand_over(folder)


def _home() -> Path:
    home = mysql_home()
    if home is None:
        raise ConfigError("MySQL is not in the cache; run `make setup`")
    return home
