"""Brings the warehouse's schema to the one of this program. No rows are written here."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from cloud.errors import SchemaOutdated, WarehouseError
from cloud.warehouse.engine import converted

__all__ = ["current", "head", "migrate"]

# A path and not a module name: it works from a checkout and from an installed wheel.
_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = "dewline_migrate"


def migrate(engine: Engine, wait_s: int = 60) -> str:
    """Runs the revisions that are missing; the revision that the schema then has.

    Two processes may call it at once: the second waits for the first and finds nothing to do.

    Args:
        engine: The warehouse.
        wait_s: How long to wait for another migration, seconds.

    Raises:
        WarehouseError: The server did not answer, or another migration does not end.
        SchemaOutdated: The schema was made by a newer program.
    """
    with converted(), engine.connect() as connection:
        taken = connection.execute(
            text("SELECT GET_LOCK(:name, :wait)"), {"name": _LOCK, "wait": wait_s}
        ).scalar()
        if taken != 1:
            raise WarehouseError(f"another migration has been running for {wait_s} s")
        try:
            _upgrade(connection)
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
            connection.commit()
    return head()


def current(engine: Engine) -> str | None:
    """The revision that the schema has; None for an empty database."""
    with converted(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision of this program."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaOutdated(
            f"{error}: a newer program made this schema, update dewline"
        ) from error
    connection.commit()


def _config() -> Config:
    config = Config()
    # ConfigParser would take a % in the path for an interpolation.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
