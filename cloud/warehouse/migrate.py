"""Migrates the warehouse's schema and views to the version of this program."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from cloud.errors import SchemaOutdated, WarehouseError
from cloud.warehouse.engine import converted
from cloud.warehouse.views import create_views

__all__ = ["current", "head", "migrate"]

# A path works both from a checkout and from an installed wheel.
_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = "dewline_migrate"


def migrate(engine: Engine, wait_s: int = 60) -> str:
    """Run the missing revisions. Return the schema's new revision.

    Two processes may migrate at the same time: the second waits for the first, then does nothing.

    Args:
        engine: The warehouse.
        wait_s: Time to wait for another migration, seconds.

    Raises:
        WarehouseError: The server did not answer, or another migration did not end in time.
        SchemaOutdated: A newer program has made the schema.
    """
    with converted(), engine.connect() as connection:
        taken = connection.execute(
            text("SELECT GET_LOCK(:name, :wait)"), {"name": _LOCK, "wait": wait_s}
        ).scalar()
        if taken != 1:
            raise WarehouseError(
                f"warehouse: another migration runs and did not end within {wait_s} s: wait for "
                "its end, then run `dewline-cloud warehouse migrate` again"
            )
        try:
            _upgrade(connection)
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
            connection.commit()
    return head()


def current(engine: Engine) -> str | None:
    """Return the schema's revision; None for an empty database."""
    with converted(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the newest revision of this program."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaOutdated(
            f"{error}: a newer program has made this schema. Update dewline"
        ) from error
    create_views(connection)
    connection.commit()


def _config() -> Config:
    config = Config()
    # Escape % in the path, because ConfigParser uses it for interpolation.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
