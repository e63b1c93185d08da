"""Connections and the conversion of errors."""

import pymysql
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cloud.errors import SchemaOutdated, WarehouseError
from cloud.warehouse.engine import Address, connect, converted
from contract.errors import ConfigError

DRIVER_ERRORS = [
    e
    for e in vars(pymysql.err).values()
    if isinstance(e, type) and issubclass(e, pymysql.err.Error)
]


def test_pymysql_has_errors_to_map():
    assert len(DRIVER_ERRORS) >= 9


@pytest.mark.parametrize("error", DRIVER_ERRORS)
def test_every_error_of_the_driver_becomes_ours(error):
    with pytest.raises(WarehouseError, match="gone away") as caught, converted():
        raise DBAPIError.instance("SELECT 1", (), error(2006, "gone away"), pymysql.err.Error)
    assert caught.value.retryable


@pytest.mark.parametrize("code", [1054, 1146])
def test_a_missing_table_or_column_asks_for_a_migration(code):
    error = pymysql.err.ProgrammingError(code, "it is not there")
    with pytest.raises(SchemaOutdated, match="warehouse migrate") as caught, converted():
        raise DBAPIError.instance("SELECT 1", (), error, pymysql.err.Error)
    assert not caught.value.retryable


def test_what_sqlalchemy_says_of_itself_becomes_ours_too():
    with pytest.raises(WarehouseError), converted():
        raise SQLAlchemyError("pool")


def test_other_errors_pass_as_they_are():
    with pytest.raises(ZeroDivisionError), converted():
        raise ZeroDivisionError


@pytest.mark.parametrize("url", ["sqlite://", "mysql://u:hush@h/d", "hush"])
def test_a_wrong_url_is_refused_without_showing_its_password(url):
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert "hush" not in str(caught.value)


def test_a_server_that_is_not_there_can_be_asked_again():
    address = Address(host="127.0.0.1", port=1, user="u", password="hush", database="d")
    with pytest.raises(WarehouseError) as caught, converted(), connect(address).connect():
        pass
    assert caught.value.retryable
    assert "hush" not in str(caught.value)


@pytest.fixture
def at():
    """`at(server, ca_file)`: its address, to be checked against an authority."""

    def address(server, ca_file):
        return Address(
            host="127.0.0.1",
            port=server.port,
            user=server.user,
            password=server.password,
            database=server.database,
            ca_file=str(ca_file),
        )

    return address


@pytest.fixture
def secret_server(stack_base, database, certificates):
    server = type(database).start(stack_base, certificates)
    yield server
    server.stop()


@pytest.mark.services
def test_over_tls_from_a_server_of_the_named_authority(secret_server, at, certificates, tls_door):
    engine = connect(at(secret_server, certificates.device("gw-1").ca))
    with converted(), engine.connect() as connection:
        cipher = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
    engine.dispose()
    assert cipher.startswith("TLS_")
    _, foreign = tls_door("good")
    stranger, refused = connect(at(secret_server, foreign)), "no authority in ca_file issued"
    with pytest.raises(WarehouseError, match=refused), converted(), stranger.connect():
        pass


@pytest.mark.services
def test_a_server_without_tls_gets_no_password_where_an_authority_is_named(
    stack_base, database, at, certificates
):
    server = type(database).start(stack_base, flags=type(database).without_tls)
    try:
        engine = connect(at(server, certificates.device("gw-1").ca))
        with pytest.raises(WarehouseError, match="SSL"), converted(), engine.connect():
            pass
    finally:
        server.stop()


def test_an_authority_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"\[warehouse\] ca_file: /nowhere cannot be read"):
        connect(Address(host="x", port=1, user="u", password="", database="d", ca_file="/nowhere"))


@pytest.mark.services
def test_sessions_are_utc_strict_and_take_every_character(warehouse):
    with converted(), warehouse.connect() as connection:
        zone, mode = connection.execute(text("SELECT @@time_zone, @@sql_mode")).one()
        assert (zone, "STRICT_ALL_TABLES" in mode) == ("+00:00", True)
        assert connection.scalar(text("SELECT :t"), {"t": "\N{THERMOMETER}"}) == "\N{THERMOMETER}"


@pytest.mark.services
def test_a_connection_that_the_server_dropped_is_replaced(warehouse):
    with converted(), warehouse.connect() as connection:
        mine = connection.scalar(text("SELECT CONNECTION_ID()"))
    killer = connect(warehouse.url)
    with converted(), killer.connect() as connection:
        connection.execute(text(f"KILL {mine}"))
    killer.dispose()
    with converted(), warehouse.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
