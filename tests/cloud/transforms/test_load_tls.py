"""Spark's connections to the warehouse over TLS: Connector/J checks the server as Python does."""

import pymysql
import pytest

from cloud.errors import WarehouseError
from cloud.transforms.batch import batch_after
from cloud.transforms.kinds import of_kind
from cloud.warehouse.engine import Address, connect
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.loader import StagingLoader
from cloud.warehouse.migrate import migrate
from contract.errors import ConfigError
from contract.records import Kind

pytestmark = [pytest.mark.spark, pytest.mark.services]


@pytest.fixture
def rows(new_lake, gateway):
    lake = new_lake()
    lake.fold(gateway.file(gateway.readings("a", 1, 9)))
    made = batch_after(lake.spark, lake.tables, lake.cursor.load(), lake.folded.load())
    return of_kind(made.rows, Kind.READING)


@pytest.fixture
def secret_server(stack_base, database, certificates):
    """A server with a certificate of the tests' authority; its account must use TLS."""
    server = type(database).start(stack_base, certificates)
    root = pymysql.connect(unix_socket=str(server.base / "m.sock"), user="root")
    with root, root.cursor() as cursor:
        cursor.execute(f"ALTER USER '{server.user}'@'127.0.0.1' REQUIRE SSL")
        root.commit()
    yield server
    server.stop()


@pytest.fixture
def engine(secret_server, certificates):
    engine = connect(
        Address(
            host="127.0.0.1",
            port=secret_server.port,
            user=secret_server.user,
            password=secret_server.password,
            database=secret_server.database,
            ca_file=str(certificates.device("gw-1").ca),
        )
    )
    migrate(engine)
    yield engine
    engine.dispose()


def test_rows_are_loaded_over_tls_from_a_server_with_the_named_authority(
    rows, engine, certificates
):
    loader = StagingLoader(engine, JdbcTls(str(certificates.device("gw-1").ca)))
    assert loader.load(Kind.READING, rows, "b-1") == 9
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM fct_reading").scalar() == 9


def test_a_server_of_another_authority_gets_no_rows(rows, engine, tls_door):
    _, another = tls_door("good")
    loader = StagingLoader(engine, JdbcTls(another))
    with pytest.raises(WarehouseError, match="stg_reading"):
        loader.load(Kind.READING, rows, "b-1")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM stg_reading").scalar() == 0


def test_an_account_that_must_use_tls_is_served_without_an_authority_too(rows, engine):
    assert StagingLoader(engine, JdbcTls(None)).load(Kind.READING, rows, "b-1") == 9


def test_a_file_without_certificates_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate\n")
    with pytest.raises(ConfigError, match=r"\[warehouse\] ca_file: .*ca\.pem has no valid"):
        JdbcTls(str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigError, match=r"\[warehouse\] ca_file: /nowhere cannot be read"):
        JdbcTls("/nowhere")


def test_a_cluster_uses_the_trust_store_of_its_hosts(certificates):
    ca = str(certificates.device("gw-1").ca)
    assert "file:" in JdbcTls(ca).parameters
    remote = JdbcTls(ca, local=False).parameters
    assert "VERIFY_IDENTITY" in remote
    assert "file:" not in remote
