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
from deploy.local.mysql_program import server_command
from deploy.local.processes import hand_over

__all__ = ["MySql"]

_OWN_FLAGS = (
    "--innodb-redo-log-capacity=32M",
    "--performance-schema=OFF",  # 100 MB that nobody looks at
)


class MySql(DatabaseServer):
    """A private MySQL."""

    product = "MySQL"
    daemon = "mysqld"
    without_tls = ("--tls-version=",)  # otherwise it does, with a certificate of its own making
    keys_required = ("--sql-require-primary-key=ON",)

    @classmethod
    def command(cls, folder: Path, port: int) -> tuple[str, ...]:
        """Returns the server's command line, its files in `folder`."""
        started = server_command(_home() / "root")
        return (*started, *place_flags(folder, port), *COMMON_FLAGS, *_OWN_FLAGS)

    @classmethod
    def initialise(cls, folder: Path) -> None:
        """Makes the data folder: a copy, since initialising takes seconds."""
        shutil.copytree(_home() / "data", folder / "data")
        data = folder / "data"
        for own in (data / "auto.cnf", *data.glob("*.pem")):  # id and keys are made at the start
            own.unlink(missing_ok=True)
        hand_over(folder)


def _home() -> Path:
    home = mysql_home()
    if home is None:
        raise ConfigError("MySQL is not in the cache: run `make setup`")
    return home
