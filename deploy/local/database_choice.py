"""Chooses this machine's database server: MySQL, or MariaDB if MySQL is not available."""

from deploy.local.artifacts import mysql_home
from deploy.local.database_server import DatabaseServer
from deploy.local.mariadb import MariaDb
from deploy.local.mysql import MySql

__all__ = ["available", "preferred"]


def preferred() -> type[DatabaseServer]:
    """Returns MySQL if it is in the cache, else MariaDB."""
    return MariaDb if mysql_home() is None else MySql


def available() -> tuple[type[DatabaseServer], ...]:
    """Returns every server that this machine can start, the preferred one first."""
    return (MariaDb,) if mysql_home() is None else (MySql, MariaDb)
