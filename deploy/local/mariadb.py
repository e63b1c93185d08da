"""MariaDB as a private child: the second server, and the one where MySQL cannot be had."""

from pathlib import Path

from deploy.local.database_server import COMMON_FLAGS, DatabaseServer, place_flags
from deploy.local.processes import program, run_once

__all__ = ["MariaDb"]

# Announced instead of 5.5.5-10.11: with that, Connector/J drops the milliseconds of DATETIME(3).
_VERSION = "5.7.19-MariaDB"


class MariaDb(DatabaseServer):
    """A private MariaDB."""

    product = "MariaDB"
    daemon = "mariadbd"
    without_tls = ("--skip-ssl",)
    keys_required = ("--innodb-force-primary-key=ON",)
    # Root has no password, but keeps only the socket, which lies in the private folder.
    first_statements = (
        "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';\n"
        "FLUSH PRIVILEGES;\n"
    )

    @classmethod
    def command(cls, folder: Path, port: int) -> tuple[str, ...]:
        """Returns the server's command line, its files in `folder`."""
        own = ("--innodb-log-file-size=16M", f"--version={_VERSION}")
        daemon = program(cls.daemon)
        return (daemon, "--no-defaults", *place_flags(folder, port), *COMMON_FLAGS, *own)

    @classmethod
    def initialise(cls, folder: Path) -> None:
        """Makes the data folder."""
        command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}"]
        # a tmpdir of its own: each MariaDB that starts removes others' temporary tables from it
        command += ["--auth-root-authentication-method=normal", f"--tmpdir={folder / 'tmp'}"]
        command += ["--skip-test-db"]
        run_once(command, folder)
