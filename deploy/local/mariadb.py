"""MariaDB as a private child, in the place of MySQL 8, which Debian does not have.

Owns its flags, its one database and that database's user. Must not know any table.
"""

import secrets
import socket
from pathlib import Path
from typing import Self

from deploy.local.certificates import Certificates
from deploy.local.processes import (
    Launch,
    PrivateServer,
    free_ports,
    hand_over,
    private_folder,
    program,
    run_once,
)

__all__ = ["MariaDb"]

_USER = "dew"
_DATABASE = "dewline"
# Announced instead of 5.5.5-10.11: with that, Connector/J drops the milliseconds of DATETIME(3).
_VERSION = "5.7.19-MariaDB"

_FLAGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_bin",
    "--default-time-zone=+00:00",
    "--local-infile=1",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--sql-mode=STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
    f"--version={_VERSION}",
)

# Run at every start, before the port opens. Root has no password, but keeps only the socket, which
# lies in the private folder. Databases named dewline_... are for tests that want one of their own.
_FIRST_STATEMENTS = """\
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;
CREATE DATABASE IF NOT EXISTS {database};
CREATE USER IF NOT EXISTS '{user}'@'127.0.0.1' IDENTIFIED BY '{password}';
CREATE USER IF NOT EXISTS '{user}'@'localhost' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON `{database}%`.* TO '{user}'@'127.0.0.1';
GRANT ALL PRIVILEGES ON `{database}%`.* TO '{user}'@'localhost';
"""


class MariaDb(PrivateServer):
    """A private database server on 127.0.0.1; see `start`."""

    database = _DATABASE
    user = _USER

    def __init__(self, launch: Launch, port: int, password: str) -> None:
        super().__init__(launch, port)
        self.password = password

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the database, password included."""
        at = f"{self.user}:{self.password}@127.0.0.1:{self.port}"
        return f"mysql+pymysql://{at}/{self.database}?charset=utf8mb4"

    @classmethod
    def launch(cls, base: Path, certificates: Certificates | None = None) -> Self:
        """Begin to start a server in a new folder below `base`; `wait_ready` must follow."""
        folder = private_folder(base, "mariadb")
        port = free_ports(1)[0]
        password = secrets.token_hex(16)
        if certificates is not None:
            certificates.install(folder)
        _prepare(folder, password)
        server = cls(
            Launch(
                name="mariadbd",
                command=_command(folder, port),
                folder=folder,
                logs=(folder / "err.log",),
                answers=lambda: _answers(port),
            ),
            port,
            password,
        )
        server.spawn()
        return server

    @classmethod
    def start(cls, base: Path, certificates: Certificates | None = None) -> Self:
        """Running server with one empty database and one user who owns it.

        Args:
            base: Folder that the server's user can reach.
            certificates: Where its own comes from, for clients that want TLS.

        Raises:
            ServerError: it did not start.
        """
        server = cls.launch(base, certificates)
        server.wait_ready()
        return server


def _prepare(folder: Path, password: str) -> None:
    (folder / "tmp").mkdir()
    first = folder / "first.sql"
    first.touch(mode=0o600)
    text = _FIRST_STATEMENTS.format(database=_DATABASE, user=_USER, password=password)
    first.write_text(text, encoding="utf-8")
    hand_over(folder)
    command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}"]
    command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
    run_once(command, folder)


def _command(folder: Path, port: int) -> tuple[str, ...]:
    return (
        program("mariadbd"),
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'm.sock'}",
        f"--port={port}",
        f"--pid-file={folder / 'm.pid'}",
        f"--tmpdir={folder / 'tmp'}",
        f"--log-error={folder / 'err.log'}",
        f"--init-file={folder / 'first.sql'}",
        *_FLAGS,
        *_tls_flags(folder),
    )


def _tls_flags(folder: Path) -> tuple[str, ...]:
    certificate, key = folder / "server.pem", folder / "server.key"
    return (f"--ssl-cert={certificate}", f"--ssl-key={key}") if certificate.exists() else ()


def _answers(port: int) -> bool:
    """Whether the server greets: length (3 bytes), sequence, protocol 10, then its version."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(64)[4:].startswith(b"\x0a" + _VERSION.encode())
    except OSError:
        return False
