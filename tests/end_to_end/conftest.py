"""A database of one test's own: a registry's rows name files, so tests cannot share them."""

import uuid

import pytest
from sqlalchemy import make_url, text

from cloud.warehouse.engine import connect


@pytest.fixture
def own_database(database):
    """URL of an empty database on the run's server; it is dropped afterwards."""
    name = f"dewline_{uuid.uuid4().hex[:12]}"
    server = connect(database.url)
    with server.begin() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(database.url).set(database=name)
    with server.begin() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()
