"""The way to MySQL: connections, and the driver's errors as ours. Nobody else creates an engine.

It must not know any table but Alembic's `alembic_version`, and that one only to say that the schema
is not this program's.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cloud.errors import SchemaOutdated, WarehouseError
from cloud.warehouse.migrations import HEAD
from contract.errors import ConfigError
from transport.tls import TlsFiles, client_context, tls_failure

__all__ = ["Address", "connect", "converted", "require_current"]

_UNKNOWN_COLUMN = 1054
_NO_SUCH_TABLE = 1146
_VERSION = "SELECT version_num FROM alembic_version"
_DDL = re.compile(r"\s*(?:CREATE TABLE(?: IF NOT EXISTS)?|ALTER TABLE) `?(\w+)")
# The server's own defaults may be lax (a text too long is cut silently) and local (its time zone).
_SESSION = (
    "SET SESSION time_zone = '+00:00', "
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the warehouse is and as whom to enter it.

    Attributes:
        host: Name or address of the MySQL server.
        port: Its TCP port.
        user: Account.
        password: Its password, empty for none.
        database: The database that holds the tables.
        ca_file: Authorities (PEM) that the server's certificate must be of; None: the line is
            secret if the server can do TLS, and whoever answers is believed.
    """

    host: str
    port: int
    user: str
    password: str
    database: str
    ca_file: str | None = None


def connect(address: Address | str, *, answer_s: float | None = None) -> Engine:
    """A pool of connections to the warehouse; the first use connects.

    Args:
        address: Its parts, or a URL `mysql+pymysql://user:password@host:port/database`.
        answer_s: Connecting, and each answer, may take so long, seconds; None: as long as it does.

    Raises:
        ConfigError: The URL is none, or names another driver, or `ca_file` cannot be used.
    """
    arguments: dict[str, object] = {"init_command": _SESSION}
    if isinstance(address, Address) and address.ca_file is not None:
        # given a context, the driver breaks off where a server announces no TLS
        arguments["ssl"] = client_context(TlsFiles(ca_file=address.ca_file), "[warehouse]")
    if answer_s is not None:
        arguments |= dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), answer_s)
    url = _url(address).update_query_dict({"charset": "utf8mb4"})
    return create_engine(url, pool_pre_ping=True, pool_recycle=1800, connect_args=arguments)


def _url(address: Address | str) -> URL:
    if isinstance(address, Address):
        return URL.create(
            "mysql+pymysql",
            username=address.user,
            password=address.password or None,
            host=address.host,
            port=address.port,
            database=address.database,
        )
    try:
        url = make_url(address)
    except SQLAlchemyError as error:
        # The text of this error repeats the URL, which holds a password.
        raise ConfigError(
            "the warehouse's URL is not mysql+pymysql://user:password@host:port/database"
        ) from error
    if url.drivername != "mysql+pymysql":
        raise ConfigError(f"the warehouse's URL begins {url.drivername}, expected mysql+pymysql")
    return url


@contextmanager
def converted() -> Iterator[None]:
    """Turns what SQLAlchemy and PyMySQL raise inside the block into `WarehouseError`.

    Raises:
        SchemaOutdated: A table or column is missing.
        WarehouseError: Anything else the server or the line refused.
    """
    try:
        yield
    except DBAPIError as error:
        arguments: tuple[object, ...] = getattr(error.orig, "args", ())
        code = arguments[0] if arguments else None
        said = str(arguments[1]) if len(arguments) > 1 else str(error.orig)
        if code in (_UNKNOWN_COLUMN, _NO_SUCH_TABLE):
            raise SchemaOutdated(f"{said}: run `dewline-cloud warehouse migrate`") from error
        if (failure := tls_failure(said)) is not None:
            said = f"{said}: {failure.text}"
        raise WarehouseError(f"MySQL: {_table(error)}{said} (error {code})") from error
    except SQLAlchemyError as error:
        raise WarehouseError(f"MySQL: {error}") from error


def _table(error: DBAPIError) -> str:
    """The table that a statement makes or changes; the server's own text rarely names it."""
    found = _DDL.match(error.statement or "")
    return f"table {found[1]}: " if found else ""


def require_current(engine: Engine) -> None:
    """Makes sure that the schema is the one this program was written for.

    Raises:
        SchemaOutdated: It is older, newer or not there; the text says what to do.
        WarehouseError: The server did not answer.
    """
    with converted(), engine.connect() as connection:
        found = connection.scalar(text(_VERSION))
    if found != HEAD:
        raise SchemaOutdated(
            f"the warehouse's schema is {found}, this program expects {HEAD}: "
            "run `dewline-cloud warehouse migrate` with the newest program"
        )
