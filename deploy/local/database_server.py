"""Starts MySQL or MariaDB as a private child process with one database and one user.

This module makes the account and starts the server. The flags of each server are in `mysql` and
`mariadb`; tables are not made here.
"""

import secrets
import socket
from pathlib import Path
from typing import ClassVar, Self

from deploy.local.certificates import Certificates
from deploy.local.processes import Launch, PrivateServer, free_ports, hand_over, private_folder

__all__ = ["COMMON_FLAGS", "DatabaseServer", "place_flags"]

_USER = "dew"
_DATABASE = "dewline"

COMMON_FLAGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_bin",
    "--default-time-zone=+00:00",
    "--local-infile=1",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--sql-mode=STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
)

# Run at every start, before the port opens. Tests may create their own databases named dewline_...
_FIRST_STATEMENTS = """\
CREATE DATABASE IF NOT EXISTS {database};
CREATE USER IF NOT EXISTS '{user}'@'127.0.0.1' IDENTIFIED BY '{password}';
CREATE USER IF NOT EXISTS '{user}'@'localhost' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON `{database}%`.* TO '{user}'@'127.0.0.1';
GRANT ALL PRIVILEGES ON `{database}%`.* TO '{user}'@'localhost';
"""


class DatabaseServer(PrivateServer):
    """Runs a private database server on 127.0.0.1; see `start`.

    Attributes:
        product: The vendor's name of the server.
        without_tls: Flags that disable TLS.
        keys_required: Flags with which the server refuses tables without a primary key.
    """

    product: ClassVar[str]
    daemon: ClassVar[str]
    without_tls: ClassVar[tuple[str, ...]]
    keys_required: ClassVar[tuple[str, ...]]
    first_statements: ClassVar[str] = ""  # run before _FIRST_STATEMENTS

    database = _DATABASE
    user = _USER

    def __init__(self, launch: Launch, port: int, password: str) -> None:
        super().__init__(launch, port)
        self.password = password

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the database, including the password."""
        at = f"{self.user}:{self.password}@127.0.0.1:{self.port}"
        return f"mysql+pymysql://{at}/{self.database}?charset=utf8mb4"

    @classmethod
    def launch(
        cls, base: Path, certificates: Certificates | None = None, flags: tuple[str, ...] = ()
    ) -> Self:
        """Starts a server in a new folder below `base` without waiting; call `wait_ready` next."""
        folder = private_folder(base, cls.daemon)
        port = free_ports(1)[0]
        password = secrets.token_hex(16)
        if certificates is not None:
            certificates.install(folder)
        cls._prepare(folder, password)
        server = cls(
            Launch(
                name=cls.daemon,
                command=(*cls.command(folder, port), *_tls_flags(folder), *flags),
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
    def start(
        cls, base: Path, certificates: Certificates | None = None, flags: tuple[str, ...] = ()
    ) -> Self:
        """Starts a server with one empty database and one user, and waits until it answers.

        Args:
            base: Folder that the server's user can reach.
            certificates: Source of the server's certificate, for clients that use TLS.
            flags: More options of the server.

        Raises:
            ServerError: The server did not start.
        """
        server = cls.launch(base, certificates, flags)
        server.wait_ready()
        return server

    @classmethod
    def command(cls, folder: Path, port: int) -> tuple[str, ...]:
        """Returns the server's command line for the files in `folder`."""
        raise NotImplementedError

    @classmethod
    def initialise(cls, folder: Path) -> None:
        """Makes the data folder `folder / "data"`; root can log in only through the socket."""
        raise NotImplementedError

    @classmethod
    def _prepare(cls, folder: Path, password: str) -> None:
        (folder / "tmp").mkdir()
        first = folder / "first.sql"
        first.touch(mode=0o600)
        text = cls.first_statements + _FIRST_STATEMENTS.format(
            database=_DATABASE, user=_USER, password=password
        )
        first.write_text(text, encoding="utf-8")
        hand_over(folder)
        cls.initialise(folder)


def place_flags(folder: Path, port: int) -> tuple[str, ...]:
    """Returns the flags that name the server's files and port."""
    return (
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'm.sock'}",
        f"--port={port}",
        f"--pid-file={folder / 'm.pid'}",
        f"--tmpdir={folder / 'tmp'}",
        f"--log-error={folder / 'err.log'}",
        f"--init-file={folder / 'first.sql'}",
    )


def _tls_flags(folder: Path) -> tuple[str, ...]:
    certificate, key = folder / "server.pem", folder / "server.key"
    return (f"--ssl-cert={certificate}", f"--ssl-key={key}") if certificate.exists() else ()


def _answers(port: int) -> bool:
    """Returns whether the server sends a greeting: 3 bytes length, sequence, protocol 10."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(64)[4:5] == b"\x0a"
    except OSError:
        return False
