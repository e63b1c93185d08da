"""Each database server answers for real: its user, its rules, its restart."""

import re
import shutil
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

from deploy.local.database_choice import available
from deploy.local.database_server import DatabaseServer
from deploy.local.errors import ServerError

pytestmark = pytest.mark.services


def ask(server: DatabaseServer, *statements: str) -> tuple[tuple[object, ...], ...]:
    address = urlsplit(server.url)
    with closing(
        pymysql.connect(
            host=address.hostname or "",
            port=address.port or 0,
            user=address.username,
            password=address.password or "",
            database=address.path[1:],
            autocommit=True,
        )
    ) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return tuple(cursor.fetchall())


@pytest.fixture(scope="module", params=available(), ids=lambda server: server.product)
def database(request: pytest.FixtureRequest, stack_base: Path) -> Generator[DatabaseServer]:
    """Each server that this machine can start."""
    kind: type[DatabaseServer] = request.param
    server = kind.start(stack_base)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own(stack_base: Path, database: DatabaseServer) -> Generator[DatabaseServer]:
    """A server that the tests of this file may stop."""
    server = type(database).start(stack_base)
    yield server
    server.stop()


def test_it_answers_as_the_reference_says(database: DatabaseServer) -> None:
    asked = "SELECT 1, VERSION(), @@time_zone, @@collation_server, @@sql_mode LIKE '%STRICT_ALL%'"
    ((one, version, zone, collation, strict),) = ask(database, asked)
    assert (one, zone, collation, strict) == (1, "+00:00", "utf8mb4_bin", 1)
    expected = {"MySQL": r"\d+\.\d+\.\d+", "MariaDB": r"5\.7\.19-MariaDB"}[database.product]
    assert re.match(expected, str(version))


def test_milliseconds_are_kept(database: DatabaseServer) -> None:
    ((kept,),) = ask(
        database,
        "CREATE DATABASE dewline_ms",
        "CREATE TABLE dewline_ms.t (at DATETIME(3))",
        "INSERT INTO dewline_ms.t VALUES ('2013-07-01 12:00:00.123')",
        "SELECT CAST(at AS CHAR) FROM dewline_ms.t",
    )
    assert kept == "2013-07-01 12:00:00.123"


@pytest.mark.parametrize(("user", "password"), [("root", ""), ("dew", "wrong"), ("", "")])
def test_nobody_else_gets_in_over_tcp(database: DatabaseServer, user: str, password: str) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(host="127.0.0.1", port=database.port, user=user, password=password)


def test_kill_and_restart_keep_port_password_and_commits(
    own: DatabaseServer, processes_in: Callable[[Path], list[int]]
) -> None:
    ask(own, "CREATE TABLE kept (n INT)", "INSERT INTO kept VALUES (7)")
    url, pid = own.url, own.pid
    own.kill()
    assert processes_in(own.base) == []
    own.restart()
    assert (own.url, ask(own, "SELECT n FROM kept")) == (url, ((7,),))
    assert own.pid != pid


def test_a_broken_data_folder_is_told_with_the_servers_own_words(
    own: DatabaseServer, processes_in: Callable[[Path], list[int]]
) -> None:
    own.stop()
    assert processes_in(own.base) == []
    shutil.rmtree(own.base / "data" / "mysql")
    with pytest.raises(ServerError, match=rf"(?s){own.daemon}.*mysql") as failure:
        own.restart()
    assert "--- err.log" in str(failure.value)
    assert processes_in(own.base) == []
