"""Connects to MySQL, and converts the driver's errors. Only this module creates an engine.

The module uses only one table, Alembic's `alembic_version`, to check the schema's version.
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
# The server's defaults may cut long texts silently, or use a local time zone.
_SESSION = (
    "SET SESSION time_zone = '+00:00', "
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Address and account of the warehouse.

    Attributes:
        host: Name or address of the MySQL server.
        port: TCP port of the server.
        user: Account.
        password: The account's password, empty for none.
        database: Database of the tables.
        ca_file: Trusted CA certificates (PEM); None: the connection is encrypted if the server
            supports TLS, but the server's identity is not checked.
    """

    host: str
    port: int
    user: str
    password: str
    database: str
    ca_file: str | None = None


def connect(address: Address | str, *, answer_s: float | None = None) -> Engine:
    """Return a pool of connections to the warehouse; the first use connects.

    Args:
        address: The address, or a URL `mysql+pymysql://user:password@host:port/database`.
        answer_s: Timeout of connecting and of each answer, seconds; None for no timeout.

    Raises:
        ConfigError: The URL is not valid or names another driver, or `ca_file` cannot be used.
    """
    arguments: dict[str, object] = {"init_command": _SESSION}
    if isinstance(address, Address) and address.ca_file is not None:
        # With a context, the driver refuses a server without TLS.
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
        # Do not show the error's text: it repeats the URL, which contains a password.
        raise ConfigError(
            "the warehouse's URL is not valid; expected "
            "mysql+pymysql://user:password@host:port/database"
        ) from error
    if url.drivername != "mysql+pymysql":
        raise ConfigError(
            f"the warehouse's URL begins with {url.drivername}, expected mysql+pymysql"
        )
    return url


@contextmanager
def converted() -> Iterator[None]:
    """Convert errors of SQLAlchemy and PyMySQL in the block to `WarehouseError`.

    Raises:
        SchemaOutdated: A table or column is missing.
        WarehouseError: Any other error of the server or the connection.
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
    """Return the table of a DDL statement as text, because the server's message rarely has it."""
    found = _DDL.match(error.statement or "")
    return f"table {found[1]}: " if found else ""


def require_current(engine: Engine) -> None:
    """Check that the schema has the version that this program needs.

    Raises:
        SchemaOutdated: The schema is older, newer or missing; the message says what to do.
        WarehouseError: The server did not answer.
    """
    with converted(), engine.connect() as connection:
        found = connection.scalar(text(_VERSION))
    if found != HEAD:
        raise SchemaOutdated(
            f"the warehouse's schema has version {found}, this program needs {HEAD}: "
            "run `dewline-cloud warehouse migrate` with the newest program"
        )
