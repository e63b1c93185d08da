"""Starts MariaDB as a private child process; used in tests, and if MySQL is not available."""

from pathlib import Path

from deploy.local.database_server import COMMON_FLAGS, DatabaseServer, place_flags
from deploy.local.processes import program, run_once

__all__ = ["MariaDb"]

# Reported to clients instead of 5.5.5-10.11, with which Connector/J drops DATETIME(3)'s
# milliseconds.
_VERSION = "5.7.19-MariaDB"


class MariaDb(DatabaseServer):
    """Runs a private MariaDB."""

    product = "MariaDB"
    daemon = "mariadbd"
    without_tls = ("--skip-ssl",)
    keys_required = ("--innodb-force-primary-key=ON",)
    # Root has no password, but can only log in through the socket, which is in the private folder.
    first_statements = (
        "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';\n"
        "FLUSH PRIVILEGES;\n"
    )

    @classmethod
    def command(cls, folder: Path, port: int) -> tuple[str, ...]:
        """Returns the server's command line for the files in `folder`."""
        own = ("--innodb-log-file-size=16M", f"--version={_VERSION}")
        daemon = program(cls.daemon)
        return (daemon, "--no-defaults", *place_flags(folder, port), *COMMON_FLAGS, *own)

    @classmethod
    def initialise(cls, folder: Path) -> None:
        """Makes the data folder."""
        command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}"]
        # A separate tmpdir, because each MariaDB deletes all temporary tables in its tmpdir at the
        # start.
        command += ["--auth-root-authentication-method=normal", f"--tmpdir={folder / 'tmp'}"]
        command += ["--skip-test-db"]
        run_once(command, folder)
