"""Which database server this machine runs dewline on: MySQL, or MariaDB where there is no MySQL."""

from deploy.local.artifacts import mysql_home
from deploy.local.database_server import DatabaseServer
from deploy.local.mariadb import MariaDb
from deploy.local.mysql import MySql

__all__ = ["available", "preferred"]


def preferred() -> type[DatabaseServer]:
    """Returns MySQL if the set-up has put it into the cache, else MariaDB."""
    return MariaDb if mysql_home() is None else MySql


def available() -> tuple[type[DatabaseServer], ...]:
    """Returns every server that can be started here, the preferred one first."""
    return (MariaDb,) if mysql_home() is None else (MySql, MariaDb)
